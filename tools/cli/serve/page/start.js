/* start.js: dropping, the lists of models and methods, words. The form itself does the asking, so
 * that the report comes as a page of its own, with its own policy. Only a key needs a request that
 * a form cannot make, and then the report is saved as a file. */
const $ = (id) => document.getElementById(id);
let language = navigator.language.startsWith("zh") ? "zh" : "en";
let asked = false, methods = [], models = [];
const say = (word, failed) => {
  $("status").textContent = word ? words[language][word] || word : "";
  $("status").classList.toggle("failed", Boolean(failed));
  $("status").dataset.word = word && words[language][word] ? word : "";
};
const chosen = () => methods.find((m) => m.name === $("method").value);
const about = () => {
  const method = chosen();
  $("about").textContent = method
    ? method.summary + ". " + words[language].cost + ": " + method.cost + "." : "";
};
const speak = () => {
  document.documentElement.lang = language;
  for (const e of document.querySelectorAll("[data-t]"))
    e.textContent = words[language][e.dataset.t];
  for (const e of document.querySelectorAll("[data-title]"))
    e.title = words[language][e.dataset.title];
  $("language").textContent = words[language].other;
  $("language").lang = language === "zh" ? "en" : "zh";
  if ($("status").dataset.word)
    say($("status").dataset.word, $("status").classList.contains("failed"));
  about();
};
const headers = () => $("key").value ? {Authorization: "Bearer " + $("key").value} : {};
const fill = (select, names) => {
  const before = select.value;
  select.replaceChildren(...names.map((name) => new Option(name, name)));
  if (names.includes(before))
    select.value = before;
};
/* A class, or a text: what the chosen model takes; and other texts, if the method compares them. */
const aim = () => {
  const model = models.find((m) => m.name === $("models").value);
  $("text-row").hidden = !(model && model.texts);
  $("among-row").hidden = $("text-row").hidden || !(chosen() && chosen().among);
  $("target-row").hidden = Boolean(model && model.embeds);
};
/* Fields that say nothing are not sent. */
const leaveOut = () => {
  for (const name of ["text", "target"])
    $(name).disabled = $(name + "-row").hidden || !$(name).value.trim();
};
/* Each line of the other texts is a field of its own. */
const sayOthers = () => {
  for (const old of document.querySelectorAll("[name=among]"))
    old.remove();
  if ($("among-row").hidden)
    return;
  for (const line of $("among").value.split("\n").filter((text) => text.trim())) {
    const field = document.createElement("input");
    Object.assign(field, {type: "hidden", name: "among", value: line.trim()});
    $("form").append(field);
  }
};
const load = async () => {
  try {
    const answers = await Promise.all(["/v1/models", "/v1/methods"].map(
      (path) => fetch(path, {headers: headers()})));
    if (answers.some((a) => a.status === 401)) {
      $("key-row").hidden = false;
      return;
    }
    const [listed, explained] = await Promise.all(answers.map((a) => a.json()));
    models = listed.details;
    methods = explained.methods;
    fill($("models"), listed.models);
    $("models").disabled = models.length < 2;
    fill($("method"), methods.map((m) => m.name));
    if (models[0].texts)
      $("method").value = "legrad";
    $("model").textContent = listed.models.join(", ");
    aim();
    about();
  } catch {
    say("unreachable", true);
  }
};
const show = () => {
  const file = $("image").files[0];
  if ($("preview").src)
    URL.revokeObjectURL($("preview").src);
  $("preview").hidden = !file;
  if (!file)
    return;
  $("preview").src = URL.createObjectURL(file);
  $("invite").textContent = file.name;
  delete $("invite").dataset.t;
};
const address = () => {
  const query = new URLSearchParams({format: "html", lang: language});
  if (!$("models").disabled)
    query.set("model", $("models").value);
  return "/v1/explain?" + query;
};
const save = async () => {
  const answer = await fetch(address(), {method: "POST", body: new FormData($("form")),
    headers: {...headers(), Accept: "text/html"}});
  if (!answer.ok) {
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    say(page.body.textContent.trim(), true);
    return;
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = $("image").files[0].name.replace(/\.[^.]*$/, "") + ".html";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  say("saved");
};
$("form").addEventListener("submit", (event) => {
  leaveOut();
  sayOthers();
  setTimeout(() => { $("text").disabled = $("target").disabled = false; });
  if (!$("image").files.length) {
    event.preventDefault();
    say("none", true);
    return;
  }
  say("working");
  if ($("key").value) {
    event.preventDefault();
    save().catch(() => say("unreachable", true));
    return;
  }
  asked = true;
  $("form").action = address();
  $("report").hidden = false;
});
$("report").addEventListener("load", () => {
  if (!asked)
    return;
  const failed = $("report").contentDocument &&
    $("report").contentDocument.querySelector("[role=alert]:not([hidden])") &&
    !$("report").contentDocument.querySelector("main");
  say(failed ? "refused" : "done", failed);
  $("report").scrollIntoView();
});
$("image").addEventListener("change", show);
$("method").addEventListener("change", () => {
  aim();
  about();
});
$("models").addEventListener("change", aim);
$("key").addEventListener("change", load);
$("language").addEventListener("click", () => {
  language = language === "zh" ? "en" : "zh";
  speak();
});
for (const kind of ["dragenter", "dragover"])
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.add("over");
  });
document.addEventListener("dragleave", () => $("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  const files = event.dataTransfer.files;
  if (!files.length)
    return;
  if (!/^image\/(jpeg|png)$/.test(files[0].type)) {
    say("type", true);
    return;
  }
  $("image").files = files;
  show();
  $("form").requestSubmit();
});
$("report").hidden = true;
$("text").disabled = $("target").disabled = false;
speak();
load();
