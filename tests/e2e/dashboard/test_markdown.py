"""Rendering of Markdown from agents: CommonMark rules, safe links, linear time."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, CDPSession, expect

from tests.e2e.dashboard.browser import Dashboard, RestClient, dashboard
from tests.e2e.service import Service

# Renders texts with the modules of the page, under its policy. The outline has tags and addresses only.
RENDER = """async (texts) => {
    const main = document.querySelector('script[type="module"]').src;
    const load = (path) => import(new URL(path, main));
    const { html, render } = await load('./core/html.js');
    const { Markdown, PlainWithLinks } = await load('./ui/markdown.js');
    const { loadParser } = await load('./ui/markdown_parser.js');
    await loadParser();
    const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('\\n', '⏎');
    const outline = (node) => {
        if (node.nodeType === Node.TEXT_NODE) return escape(node.data);
        if (node.matches('.task-link')) return `[${node.querySelector('.key').textContent}]`;
        if (node.matches('.sr')) return '';
        const inner = [...node.childNodes].map(outline).join('');
        const name = node.localName;
        if (node.matches('.table-wrap, .tick')) return inner;
        if (node.matches('.md-heading')) return `<h>${inner}</h>`;
        if (name === 'br' || name === 'hr') return `<${name}>`;
        const more = node.getAttribute('href') ?? node.getAttribute('start');
        return `<${name}${more === null ? '' : ` ${more}`}>${inner}</${name}>`;
    };
    const found = [];
    for (const text of texts) {
        const place = document.createElement('div');
        render(html`<${Markdown} text=${text} />`, place);
        const shown = [...place.firstElementChild.childNodes].map(outline).join('');
        render(html`<${PlainWithLinks} text=${text} />`, place);
        found.push({ shown, plain: place.textContent.replace(/\\s+/g, ' ').trim() });
        render(null, place);
    }
    return found;
}"""

LINK = "<a https://e.org/A_(b)>"
CASES = {
    # Texts that an earlier parser rendered wrongly.
    "https://e.org/A_(b)": f"<p>{LINK}https://e.org/A_(b)</a></p>",
    "see https://e.org/x.": "<p>see <a https://e.org/x>https://e.org/x</a>.</p>",
    "(https://e.org/x)": "<p>(<a https://e.org/x>https://e.org/x</a>)</p>",
    "[x](https://e.org/A_(b))": f"<p>{LINK}x</a></p>",
    "f(*args, **kwargs)": "<p>f(*args, **kwargs)</p>",
    "*.py and *.js": "<p>*.py and *.js</p>",
    "2 * 3 * 4": "<p>2 * 3 * 4</p>",
    "foo__bar__baz": "<p>foo__bar__baz</p>",
    "snake_case_name": "<p>snake_case_name</p>",
    "__init__.py": "<p><strong>init</strong>.py</p>",
    "`__init__`.py": "<p><code>__init__</code>.py</p>",
    r"\*kept\* \`as\` \[it\](is) \#1": "<p>*kept* `as` [it](is) #1</p>",
    "| a | b |\n|---|---|\n| x \\| y | `c \\| d` |": (
        "<table><thead><tr><th>a</th><th>b</th></tr></thead>"
        "<tbody><tr><td>x | y</td><td><code>c | d</code></td></tr></tbody></table>"
    ),
    "- a\n\n  ```\n  code\n  ```\n- b": "<ul><li><p>a</p><pre><code>code</code></pre></li><li><p>b</p></li></ul>",
    "```sh\na\n``` b\n```": "<pre><code>a⏎``` b</code></pre>",
    "~~~\n```\n~~~": "<pre><code>```</code></pre>",
    # CommonMark.
    "# One\n\nTwo\n===": "<h>One</h><h>Two</h>",
    "*em* **strong** ***both*** ~~gone~~": (
        "<p><em>em</em> <strong>strong</strong> <em><strong>both</strong></em> <s>gone</s></p>"
    ),
    "*foo**bar**baz*": "<p><em>foo<strong>bar</strong>baz</em></p>",
    "** not strong **": "<p>** not strong **</p>",
    "``a ` b``": "<p><code>a ` b</code></p>",
    "`<b>`": "<p><code>&lt;b></code></p>",
    "> a\n> > b\n\nc": "<blockquote><p>a</p><blockquote><p>b</p></blockquote></blockquote><p>c</p>",
    "3. c\n4. d\n   - e": "<ol 3><li>c</li><li>d<ul><li>e</li></ul></li></ol>",
    "- [ ] open\n- [x] done\n- [y] text": "<ul><li>☐ open</li><li>☑ done</li><li>[y] text</li></ul>",
    "    indented *code*": "<pre><code>indented *code*</code></pre>",
    "one\ntwo": "<p>one<br>two</p>",
    "***": "<hr>",
    "[a][r] [b]\n\n[r]: https://e.org/r": "<p><a https://e.org/r>a</a> [b]</p>",
    "&copy; &#35; &amp;lt;": "<p>© # &amp;lt;</p>",
    "<https://e.org> <ada@e.org>": "<p><a https://e.org>https://e.org</a> <a mailto:ada@e.org>ada@e.org</a></p>",
    "![plan](https://e.org/p.png)": "<p><a https://e.org/p.png>plan</a></p>",
    # Text from agents is never HTML, and only web and mail addresses become links.
    "<b>x</b><script>y</script>": "<p>&lt;b>x&lt;/b>&lt;script>y&lt;/script></p>",
    "<div>\n\n*x*": "<p>&lt;div></p><p><em>x</em></p>",
    "[x](javascript:alert(1))": "<p>[x](javascript:alert(1))</p>",
    "[x](JaVaScRiPt&colon;alert(1))": "<p>[x](JaVaScRiPt:alert(1))</p>",
    "[x](data:text/html,x)": "<p>[x](data:text/html,x)</p>",
    "[x](/local) [y](#frag) [z](//e.org)": "<p>[x](/local) [y](#frag) [z](//e.org)</p>",
    "ftp://e.org //e.org e.org ada@e.org": "<p>ftp://e.org //e.org e.org ada@e.org</p>",
    "[m](mailto:ada@e.org)": "<p><a mailto:ada@e.org>m</a></p>",
    # Overrides of direction are shown, because they would reverse what follows. Marks and isolates stay.
    "a \u202eb\u202c `\u202dc`": "<p>a [U+202E]b <code>[U+202D]c</code></p>",
    "\u202ba\u202c \u2067b\u2069\u200f": "<p>a \u2067b\u2069\u200f</p>",
    # References to tasks.
    "see #1, #2.": "<p>see [#1], [#2].</p>",
    "**#1** and `#1`": "<p><strong>[#1]</strong> and <code>#1</code></p>",
    "#336699 #3 #0 #99999999999999999": "<p>#336699 #3 #0 #99999999999999999</p>",
    "a#1 &#1 ##1 #1a": "<p>a#1 &amp;#1 ##1 #1a</p>",
    "[about #1](https://e.org)": "<p><a https://e.org>about #1</a></p>",
    "https://e.org/#1": "<p><a https://e.org/#1>https://e.org/#1</a></p>",
}
HOSTILE = (
    *("[", "*", "`", "_", "![", "<", "> ", "- ", "&", "|a"),
    *("**a ", "~~a", "[a](", "[](", "http://(", "#1 ", "[x]: y\n", "a\n", "- a\n"),
)
MOST_BYTES = 100_000
HOSTILE_SECONDS = 4.0
"""Processor time for one text of 100 kB. A parser that is not linear takes minutes."""


@pytest.fixture(scope="module")
def two(shared_client: RestClient) -> None:
    project = shared_client.create_project()
    for number in range(2):
        shared_client.create_task(project, f"Task {number}")


@pytest.fixture
def tab(shared: Service, browser: Browser, two: None) -> Iterator[Dashboard]:
    with dashboard(shared, browser) as opened:
        yield opened.open()


def test_markdown_is_rendered_as_commonmark_with_safe_links_only(tab: Dashboard) -> None:
    found = tab.page.evaluate(RENDER, list(CASES))
    shown = dict(zip(CASES, (each["shown"] for each in found), strict=True))
    assert {text: outline for text, outline in shown.items() if outline != CASES[text]} == {}


def test_a_single_line_preview_is_plain_text_without_markup(tab: Dashboard) -> None:
    cases = {
        "# Is **this** `right`?\n\n- [x] [yes](https://e.org)\n- no": "Is this right? yes no",
        "| a | b |\n|---|---|\n| c | d |": "a b c d",
        "```\ncode\n```\nafter\nline": "code after line",
        "f(*args) &amp; \\*": "f(*args) & *",
        "sum \u202e rtl": "sum [U+202E] rtl",
    }
    found = tab.page.evaluate(RENDER, list(cases))
    assert {text: each["plain"] for text, each in zip(cases, found, strict=True)} == cases


def processor_seconds(session: CDPSession) -> float:
    metrics = {entry["name"]: entry["value"] for entry in session.send("Performance.getMetrics")["metrics"]}
    return float(metrics["TaskDuration"])


def test_no_text_makes_rendering_slow(tab: Dashboard) -> None:
    session = tab.context.new_cdp_session(tab.page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    taken: dict[str, float] = {}
    for piece in HOSTILE:
        before = processor_seconds(session)
        tab.page.evaluate(RENDER, [(piece * MOST_BYTES)[:MOST_BYTES]])
        taken[piece] = processor_seconds(session) - before
    assert {piece: seconds for piece, seconds in taken.items() if seconds >= HOSTILE_SECONDS} == {}


def test_a_text_nested_deeper_than_the_parser_limit_is_shown_as_plain_text(tab: Dashboard) -> None:
    text = "> " * 300 + "deep"
    [found] = tab.page.evaluate(RENDER, [text])
    assert found["shown"] == f"<p>{text}</p>"


def test_text_is_plain_until_the_markdown_parser_is_loaded(
    service: Service, browser: Browser, client: RestClient
) -> None:
    task = client.create_task(client.create_project(), "Written", description="Some **bold** words")
    with dashboard(service, browser) as tab:
        held = []
        tab.page.route("**/vendor/markdown-it.js", lambda route: held.append(route))
        with tab.page.expect_request("**/vendor/markdown-it.js"):
            tab.open(f"/?task={task}")
        text = tab.drawer.locator(".markdown").first
        expect(text).to_have_text("Some **bold** words")
        held.pop().continue_()
        expect(text.locator("strong")).to_have_text("bold")
        assert tab.violations() == []
