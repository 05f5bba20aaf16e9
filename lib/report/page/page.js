'use strict';

const report = JSON.parse(document.getElementById('vx-report').textContent);
document.documentElement.classList.add('live');
document.getElementById('title').textContent = report.title;
const facts = document.getElementById('facts');
facts.textContent = JSON.stringify(report, null, 1);
facts.hidden = false;
