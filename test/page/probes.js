/* What the tests ask of a page: put into every page before its own script runs, by the driver of
 * the browser and not by the page, so that its content security policy is as strict as it is. */
'use strict';

window.probes = (() => {
    const CONTROL = 'a[href], button, input, select, textarea, summary';
    const INSIDE = '[role=grid], [role=radiogroup], [role=listbox], [role=toolbar], ' +
        '[role=tablist], dialog:not([open])';
    const html = e => e.outerHTML.slice(0, 140);
    const all = selector => [...document.querySelectorAll(selector)];
    const visible = e => e.checkVisibility({opacityProperty: true, visibilityProperty: true});

    function hasAncestor(e, test) {
        for (; e && e !== document.body; e = e.parentElement)
            if (test(getComputedStyle(e)))
                return true;
        return false;
    }

    /* Where an element is in the document: of a and b one holds the other if one path begins with
     * the other. */
    function path(e) {
        let text = '';
        for (; e.parentElement; e = e.parentElement)
            text = [...e.parentElement.children].indexOf(e) + '/' + text;
        return '/' + text;
    }

    function textBox(e) {
        const range = document.createRange();
        range.selectNodeContents(e);
        return range.getBoundingClientRect();
    }

    /* What is left of a box, as scrolling boxes around it cut the rest off. */
    function cut(e, r) {
        const box = {x0: r.left, y0: r.top, x1: r.right, y1: r.bottom};
        for (let p = e.parentElement; p && p !== document.body; p = p.parentElement) {
            if (getComputedStyle(p).overflow === 'visible')
                continue;
            const c = p.getBoundingClientRect();
            box.x0 = Math.max(box.x0, c.left);
            box.y0 = Math.max(box.y0, c.top);
            box.x1 = Math.min(box.x1, c.right);
            box.y1 = Math.min(box.y1, c.bottom);
        }
        return box;
    }

    /* Boxes of what can be read or pressed outside of the picture: leaves of text, and controls. */
    const BESIDE = '[role=grid], svg, option, .off-screen, [aria-hidden=true], dialog';
    function pieces() {
        const out = [];
        for (const e of document.body.querySelectorAll('*')) {
            if (!visible(e) || e.closest(BESIDE))
                continue;
            const leaf = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
            const control = e.matches(CONTROL);
            if ((!leaf && !control) || e.parentElement.closest(CONTROL))
                continue;
            const box = cut(e, leaf && !control ? textBox(e) : e.getBoundingClientRect());
            const floats = hasAncestor(e, s => s.position === 'fixed' || s.position === 'sticky');
            if (box.x1 - box.x0 > 2 && box.y1 - box.y0 > 2)
                out.push({...box, html: html(e), path: path(e), floats});
        }
        return out;
    }

    /* Whether an element that hears the pointer is a control, or hears it for controls inside, or
     * is kept from screen readers: then there is a control beside it that does the same. */
    const control = e => ({
        html: html(e),
        control: e.matches(CONTROL + ', dialog') || !!e.querySelector(CONTROL) ||
            e.closest('[aria-hidden=true]') !== null,
    });

    function focused() {
        const e = document.activeElement;
        if (!e || e === document.body)
            return null;
        const r = e.getBoundingClientRect(), s = getComputedStyle(e);
        const x = r.left + r.width / 2, y = r.top + r.height / 2;
        const top = document.elementFromPoint(x, y);
        const label = e.labels ? [...e.labels].some(l => l.contains(top)) : false;
        return {
            html: html(e), path: path(e), top: r.top + scrollY, bottom: r.bottom + scrollY,
            inside: x >= 0 && y >= 0 && x <= innerWidth && y <= innerHeight,
            hit: !!top && (top === e || e.contains(top) || top.contains(e) || label),
            ring: (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1) ||
                s.boxShadow !== 'none',
        };
    }

    /* Controls that the Tab key must stop at. */
    const stops = () => all(CONTROL)
        .filter(e => visible(e) && !e.disabled && e.type !== 'radio' && !e.closest(INSIDE))
        .map(e => ({html: html(e), path: path(e)}));

    const strangeTabStops = () => all('[tabindex]')
        .filter(e => e.tabIndex > 0 || (e.tabIndex === 0 && !e.matches(CONTROL) &&
            !e.matches('[role=grid], [role=region], [role=group]')))
        .map(html);

    const headings = () => all('h1, h2, h3, h4, h5').filter(visible).map(e => +e.localName[1]);

    /* Controls smaller than a finger may need; a box to tick is as large as its label. */
    function small(least) {
        return all('button, input, select, summary, a[href]')
            .filter(e => visible(e) && !e.closest('[role=grid], dialog:not([open])'))
            .map(e => {
                const label = e.matches('[type=checkbox], [type=radio]') && e.labels[0];
                const r = (label || e).getBoundingClientRect();
                return [html(e), r.width, r.height];
            }).filter(([, width, height]) => width < least || height < least);
    }

    /* From 0, black, to 1. */
    function luminance() {
        for (const e of [document.body, document.documentElement]) {
            const colour = getComputedStyle(e).backgroundColor;
            const [r, g, b, a = 1] = colour.match(/[\d.]+/g).map(Number);
            if (a > 0)
                return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
        }
        return 1;
    }

    const seconds = text => Math.max(...text.split(',').map(parseFloat));
    const moving = () => all('*').filter(e => {
        const s = getComputedStyle(e);
        return seconds(s.transitionDuration) > 0.02 || seconds(s.animationDuration) > 0.02 ||
            s.scrollBehavior === 'smooth';
    }).map(html);

    /* What keeps a finger on an element from scrolling the page. */
    function heldFast(selector) {
        const out = [];
        for (let e = document.querySelector(selector); e; e = e.parentElement)
            if (!['auto', 'manipulation', 'pan-y'].includes(getComputedStyle(e).touchAction))
                out.push(html(e));
        return out;
    }

    /* Texts that hold a character and stand in no element of their own direction. */
    function loose(character) {
        const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), out = [];
        while (walk.nextNode()) {
            const e = walk.currentNode.parentElement;
            if (walk.currentNode.data.includes(character) &&
                !e.closest('bdi, [dir=auto], option, script, code, pre, textarea'))
                out.push(html(e));
        }
        return out;
    }

    /* Elements that no page of ours has, and that a name could have become. */
    const STRANGE = 'b, iframe, object, embed, script[src], img[src="x"], [onerror], [onmouseover]';
    const strangers = () => all(STRANGE).map(html);

    /* What can be read: each text that stands by itself, and what is said to screen readers. */
    function texts() {
        const out = [];
        for (const e of all('body *')) {
            if (!e.checkVisibility() || e.matches('script, style'))
                continue;
            out.push(e.getAttribute('aria-label'), e.title);
            out.push(...[...e.childNodes].filter(n => n.nodeType === 3).map(n => n.data));
        }
        return out.map(t => (t || '').trim()).filter(Boolean);
    }

    const colours = () => all('#vx-colours option').map(e => e.value);

    /* Drawings on which nothing is drawn, by what stands beside them. */
    function isEmpty(canvas) {
        const {width, height} = canvas;
        return !width || !height || !canvas.getContext('2d').getImageData(0, 0, width, height)
            .data.some(v => v);
    }
    const DRAWINGS = '#vx-atlas, #vx-methods canvas, #vx-cards canvas, #vx-over';
    const emptyCanvases = () => all(DRAWINGS).filter(isEmpty).map(e => e.parentElement.textContent);

    /* For a walk at random: one of the controls of a kind, and one of its values, by numbers from 0
     * to 1. What writes files or leaves the viewer is left alone. */
    const pick = (list, part) => list[Math.floor(part * list.length)];
    const usable = selector => all(selector)
        .filter(e => visible(e) && !e.disabled && !e.closest('.export, [role=grid], dialog'));
    function change(e, value) {
        e.value = value;
        e.dispatchEvent(new Event('input', {bubbles: true}));
        e.dispatchEvent(new Event('change', {bubbles: true}));
    }
    const press = part => pick(usable('button, summary, input[type=checkbox]'), part)?.click();
    function choose(which, value) {
        const e = pick(usable('select'), which);
        if (e)
            change(e, pick([...e.options].filter(o => !o.disabled), value).value);
    }
    function slide(which, value) {
        const e = pick(usable('input[type=range], input[type=number]'), which);
        if (e)
            change(e, Number(e.min) + value * (Number(e.max || 1) - Number(e.min)));
    }

    /* The next frame; a browser without a window may owe one for ever. */
    const frame = () => new Promise(resolve => {
        requestAnimationFrame(resolve);
        setTimeout(resolve, 2000);
    });
    const rest = time => new Promise(resolve => setTimeout(resolve, time)).then(frame);
    const settle = () => frame().then(frame);

    return {pieces, control, focused, stops, strangeTabStops, headings, small, luminance, moving,
        heldFast, loose, strangers, texts, colours, emptyCanvases, press, choose, slide,
        rest, settle};
})();
