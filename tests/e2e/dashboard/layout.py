"""The layout of a page with other fonts, text sizes and windows: overlaps, and elements that do not fit."""

from playwright.sync_api import Locator

from tests.e2e.dashboard.browser import Dashboard

WIDER = """() => {
    // These scroll by themselves, on purpose; a drawing clips itself; ".sr" is for ears only.
    const roams = '.columns, .filterbar, .status-tabs, .nav, pre, .table-wrap, svg, .sr, .skip,'
        + 'textarea, select, input';
    const cut = (element) => {
        const style = getComputedStyle(element);
        return style.overflowX !== 'visible' && style.textOverflow !== 'ellipsis' && style.webkitLineClamp === 'none';
    };
    const said = (element, why) =>
        `${why} ${element.tagName}.${element.getAttribute('class')}: ${element.textContent.slice(0, 40)}`;
    const found = [];
    for (const element of document.querySelectorAll('body *')) {
        if (element.closest(roams) || !element.checkVisibility()) continue;
        // A name in a line that ends in dots is as long as it is; its line is judged instead.
        const line = getComputedStyle(element.parentElement);
        if (element.localName === 'bdi' && line.textOverflow === 'ellipsis') continue;
        const place = element.getBoundingClientRect();
        if (place.width && (place.right > innerWidth + 1 || place.left < -1)) found.push(said(element, 'beyond'));
        if (cut(element) && element.scrollWidth > element.clientWidth + 1) found.push(said(element, 'cut'));
    }
    if (document.documentElement.scrollWidth > innerWidth) found.push('the page scrolls sideways');
    return found;
}"""
COLLISIONS = """() => {
    const layer = (element) => {
        for (let at = element; at; at = at.parentElement) {
            if (['fixed', 'sticky'].includes(getComputedStyle(at).position)) return at;
            if (at.matches('.drawer, .dialog, [popover]')) return at;
        }
        return document.body;
    };
    const visiblePart = (element) => {
        const part = { left: -Infinity, top: -Infinity, right: Infinity, bottom: Infinity };
        for (let at = element; at; at = at.parentElement) {
            const style = getComputedStyle(at);
            if (style.overflowX !== 'visible' || style.overflowY !== 'visible') {
                const place = at.getBoundingClientRect();
                for (const side of ['left', 'top']) part[side] = Math.max(part[side], place[side]);
                for (const side of ['right', 'bottom']) part[side] = Math.min(part[side], place[side]);
            }
            if (style.position === 'fixed') break;
        }
        return part;
    };
    const boxes = 'button, .label, .tag, .badge, .choice, .table-line, .card, .need, .flow-figure';
    const [texts, found] = [[], new Set()];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const element = node.parentElement;
        if (!node.data.trim() || element.closest('.sr, .skip, select, textarea, svg')) continue;
        if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        const part = visiblePart(element);
        const box = element.closest(boxes)?.getBoundingClientRect();
        const words = node.data.trim().slice(0, 30);
        for (const line of range.getClientRects()) {
            // The letters without the space between lines.
            const spare = Math.max(0, (line.height - parseFloat(getComputedStyle(element).fontSize)) / 2);
            const left = Math.max(line.left, part.left);
            const right = Math.min(line.right, part.right);
            const top = Math.max(line.top + spare, part.top);
            const bottom = Math.min(line.bottom - spare, part.bottom);
            if (right - left < 1 || bottom - top < 1) continue;
            texts.push({ node, words, layer: layer(element), left, right, top, bottom });
            const fits = !box || (top > box.top - 1 && bottom < box.bottom + 1 && left > box.left - 1
                && right < box.right + 1);
            if (!fits) found.add(`'${words}' is outside its box`);
        }
    }
    texts.sort((a, b) => a.top - b.top);
    texts.forEach((a, index) => {
        for (let next = index + 1; next < texts.length && texts[next].top < a.bottom - 2; next += 1) {
            const b = texts[next];
            if (a.node === b.node || a.layer !== b.layer) continue;
            const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const down = Math.min(a.bottom, b.bottom) - b.top;
            if (across > 1.5 && down > 2) found.add(`'${a.words}' is over '${b.words}'`);
        }
    });
    for (const element of document.querySelectorAll('body *')) {
        if (element.closest('.sr, .fold-frame, svg, select, textarea, input') || !element.checkVisibility()) continue;
        const style = getComputedStyle(element);
        const { clientHeight: height, scrollHeight } = element;
        const hides = ['hidden', 'clip'].includes(style.overflowY) && style.webkitLineClamp === 'none';
        const isCut = hides && height > 1 && scrollHeight > height + 2;
        if (isCut) found.add(`${element.outerHTML.slice(0, 80)} is cut below`);
        // Each part of a sentence would be a column of its own.
        const isSplit = style.display.includes('flex') && element.querySelector(':scope > :is(bdi, b, a, time)')
            && [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim().length > 3);
        if (isSplit) found.add(`'${element.textContent.trim().slice(0, 40)}' is split into columns`);
    }
    return [...found];
}"""
"""JavaScript that returns texts over others or outside their boxes, and elements that are cut below."""
FONTS = ("DejaVu Sans", "Liberation Sans", "Noto Sans")
"""Fonts with wide, narrow and medium letters, from Debian packages (scripts/test)."""
TEXT_SIZES = ("100%", "110%", "130%")
SPACED = "0.12em"
"""The letter spacing that WCAG 1.4.12 requires a page to support. No font is as wide."""

LETTERS = """([font, size, spacing]) => {
    const style = document.documentElement.style;
    style.setProperty('--font', `"${font}", sans-serif`);
    style.fontSize = size;
    style.letterSpacing = spacing;
}"""
MISSING_FONT = """(font) => {
    const context = document.createElement('canvas').getContext('2d');
    const width = (family) => {
        context.font = `20px ${family}`;
        return context.measureText('mmmmiiiiWWWW').width;
    };
    return ['monospace', 'serif'].every((other) => width(`"${font}", ${other}`) === width(other));
}"""
FRAMES = """() => new Promise((done) =>
    requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done))))"""
OVERLAPS = """() => {
    const parts = [...document.querySelectorAll('.topbar > *, .nav > *')].filter((part) => part.checkVisibility()
        && part.getBoundingClientRect().width).map((part) => [part, part.getBoundingClientRect()]);
    const before = (a, b) => a.right <= b.left + 1 || a.bottom <= b.top + 1;
    const apart = (a, b) => before(a, b) || before(b, a);
    return parts.flatMap(([part, place], index) => parts.slice(index + 1)
        .filter(([other, beside]) => !part.contains(other) && !other.contains(part) && !apart(place, beside))
        .map(([other]) => `${part.getAttribute('class')} overlaps ${other.getAttribute('class')}`));
}"""

ORDER_ON_SCREEN = """(element, texts) => {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    const places = new Map();
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        for (const text of texts) {
            const at = node.data.indexOf(text);
            if (at < 0 || places.has(text)) continue;
            const range = document.createRange();
            range.setStart(node, at);
            range.setEnd(node, at + text.length);
            places.set(text, range.getBoundingClientRect().left);
        }
    }
    return [...places].sort((a, b) => a[1] - b[1]).map(([text]) => text);
}"""

ROWS = """() => {
    const rows = [];
    for (const part of document.querySelectorAll('.topbar > :not(.push)')) {
        const place = part.getBoundingClientRect();
        const onRow = (row) => row.top < place.bottom && place.top < row.bottom;
        if (place.width && !rows.some(onRow)) rows.push(place);
    }
    return rows.length;
}"""


def letters(tab: Dashboard, font: str, size: str, spacing: str = "normal") -> None:
    """Set the font, size and spacing of all text. Return when the layout is stable."""
    assert not tab.page.evaluate(MISSING_FONT, font), f"the font {font} is not installed"
    tab.page.evaluate(LETTERS, [font, size, spacing])
    tab.page.evaluate(FRAMES)


def resize(tab: Dashboard, width: int) -> None:
    """Change the width of the window. Return when the page is painted."""
    tab.page.set_viewport_size({"width": width, "height": 800})
    tab.page.evaluate(FRAMES)


def overlaps(tab: Dashboard) -> list[str]:
    """Return the parts of the bar that overlap."""
    found: list[str] = tab.page.evaluate(OVERLAPS)
    return found


def collisions(tab: Dashboard) -> list[str]:
    """Return texts over other texts or outside their boxes, elements that are cut below, and split sentences."""
    found: list[str] = tab.page.evaluate(COLLISIONS)
    return found


def rows_of_the_bar(tab: Dashboard) -> int:
    rows: int = tab.page.evaluate(ROWS)
    return rows


def wider(tab: Dashboard) -> list[str]:
    """Return the elements that are cut off or extend beyond the window."""
    found: list[str] = tab.page.evaluate(WIDER)
    return found


def order_on_screen(element: Locator, *texts: str) -> list[str]:
    """Return the texts inside the element from left to right."""
    order: list[str] = element.evaluate(ORDER_ON_SCREEN, [*texts])
    return order
