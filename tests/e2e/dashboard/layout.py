"""The layout of a page with other fonts, text sizes and windows: overlaps, and elements that do not fit."""

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


def rows_of_the_bar(tab: Dashboard) -> int:
    rows: int = tab.page.evaluate(ROWS)
    return rows


def wider(tab: Dashboard) -> list[str]:
    """Return the elements that are cut off or extend beyond the window."""
    found: list[str] = tab.page.evaluate(WIDER)
    return found
