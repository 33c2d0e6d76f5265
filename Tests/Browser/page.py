"""The page in a real browser. Prints what was checked; ends with 1 at the first thing that is wrong.

  page.py FOLDER    screenshots go to FOLDER
"""

import importlib.util
import json
import pathlib
import sys
import time

from chromium import Chromium, wait_until
from daemon import Queue

WIDTHS = [360, 800, 1600]


def axe_source():
    package = importlib.util.find_spec("axe_playwright_python").submodule_search_locations[0]
    return pathlib.Path(package, "axe.min.js").read_text()


def passed(words):
    print(f"ok  {words}", flush=True)


def check(condition, words):
    if not condition:
        raise AssertionError(words)


def looks(tab, queue, folder, axe):
    """At three widths, light and dark, nothing is cut off, and axe-core finds no fault."""
    pages = {"queue": "/", "batch": "/?batch=batch_2", "running": f"/?batch={queue.running}", "error": "/?batch=batch_999"}
    for name, path in pages.items():
        for width in WIDTHS:
            for scheme in ["light", "dark"]:
                tab.look(width, scheme=scheme)
                tab.load(queue.address + path)
                if name != "error":
                    wait_until(lambda: tab.value("document.getElementById('link').textContent") == "Live", 20, "a stream")
                place = f"{name} at {width} pixels, {scheme}"
                tab.screenshot(folder / f"{name}-{width}-{scheme}.png")
                check(tab.value("document.documentElement.scrollWidth") <= width, f"{place}: wider than the window")
                # Everything that can be opened is judged, too.
                tab.value("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
                tab.value(axe + "; 0")
                found = tab.value("axe.run().then((r) => JSON.stringify(r.violations.map((v) => "
                                  "[v.id, v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200))])))")
                check(found == "[]", f"{place}: {found}")
                if name == "error":
                    # That a page was asked for which is not there is what this page is about.
                    tab.complaints = [c for c in tab.complaints if "404" not in c]
    passed(f"{len(pages)} pages at {WIDTHS} pixels, light and dark: nothing is cut off, axe-core finds nothing")


def live(tab, queue):
    """Numbers change by themselves, focus and opened details stay, and a hidden page asks for nothing."""
    tab.look(1200)
    tab.load(queue.address + "/")
    tab.value("window.mark = 'same page'")
    row = f"document.querySelector('[data-key=\"{queue.running}\"]')"
    tab.value("document.querySelector('#night details').open = true")
    tab.value(f"(window.row = {row}, window.button = row.querySelector('button')).focus()")
    for what in [f"{row}.querySelector('.wide .sub').textContent", "document.querySelector('#now .tile .value').textContent"]:
        first = tab.value(what)
        wait_until(lambda: tab.value(what) != first, 20, f"{what} to change from {first}")
    check(tab.value("window.mark") == "same page", "the page was loaded again")
    check(tab.value(f"document.activeElement === window.button && {row} === window.row"), "the focus was lost")
    check(tab.value("document.querySelector('#night details').open"), "what was open was closed")
    # A new batch comes above the others, which stay what they are.
    name = queue.enqueue("late.jsonl", 2, 5)
    wait_until(lambda: tab.value(f"!!document.querySelector('[data-key=\"{name}\"]')"), 10, "a new batch")
    check(tab.value(f"document.activeElement === window.button && {row} === window.row"), "the focus was lost")
    passed("numbers change without a load; the focus and what is open stay")

    hide = "Object.defineProperty(document, 'hidden', { configurable: true, get: () => %s }); " \
           "document.dispatchEvent(new Event('visibilitychange'))"
    tab.value(hide % "true")
    tab.value("0")
    before, asked = tab.value("document.body.innerText"), len(tab.requests)
    time.sleep(3)
    check(tab.value("document.body.innerText") == before, "a hidden page changes")
    check(len(tab.requests) == asked, f"a hidden page asks for {tab.requests[asked:]}")
    tab.value(hide % "false")
    wait_until(lambda: tab.value("document.body.innerText") != before, 20, "the page to go on")
    passed("a hidden page asks for nothing, and goes on when it is seen again")


def actions(tab, queue, scripts=True):
    """Everything can be done by the keyboard alone."""
    with_words = "" if scripts else ", without scripts"
    tab.look(800, scripts=scripts)
    tab.load(queue.address + "/")
    enter(tab, "#head form[action='/actions/pause'] button", "The queue is paused")
    check(queue.status()["paused_ms"] is not None, "the queue is not paused")
    enter(tab, "#head form[action='/actions/resume'] button", "The queue goes on")
    check(queue.status()["paused_ms"] is None, "the queue is still paused")
    # Long enough that it does not end under the hands.
    batch = queue.enqueue("acted-on.jsonl", 20_000, 200)
    row = f"[data-key='{batch}']"

    def is_shown():
        tab.load(queue.address + "/")
        return tab.value(f"document.querySelector({json.dumps(row)}) !== null")

    # What was read a moment ago is shown again.
    wait_until(is_shown, 10, "the new batch")
    enter(tab, f"{row} form[action='/actions/pause'] button", "The batch is paused")
    check(queue.show(batch)["ttbatch"]["paused_ms"] is not None, "the batch is not paused")
    enter(tab, f"{row} form[action='/actions/resume'] button", "The batch goes on")
    check(queue.show(batch)["ttbatch"]["paused_ms"] is None, "the batch is still paused")
    tab.load(f"{queue.address}/?batch={batch}")
    tab.tab_to(".confirm > summary")
    tab.press("Enter")
    enter(tab, ".confirm form button", "The batch is cancelled")
    check(queue.show(batch)["status"] == "cancelled", "the batch is not cancelled")
    passed("pause, resume and cancel by keyboard" + with_words)


def retry(tab, queue):
    """The jobs of one cause run again in a batch of their own."""
    tab.look(800)
    tab.load(f"{queue.address}/?batch=batch_2")
    failed = queue.show("batch_2")["ttbatch"]["failures"][0]
    enter(tab, f"[data-key='{failed['code']}'] form button", "The jobs run again")
    batch = tab.value("new URL(location).searchParams.get('batch')")
    shown = queue.show(batch)
    check(shown["ttbatch"]["retry_of"] == "batch_2", "it is another batch")
    check(shown["request_counts"]["total"] == failed["jobs"], "not those jobs were copied")
    passed("a cause is run again by keyboard")


def enter(tab, selector, words):
    tab.tab_to(selector)
    tab.press("Enter")
    wait_until(lambda: tab.ready() and words in (tab.value("document.querySelector('.done')?.textContent") or ""), 20, words)


def reconnects(tab, queue):
    """A daemon that is started again is followed again, with its new forms."""
    tab.look(1200)
    tab.load(queue.address + "/")
    link = "document.getElementById('link').textContent"
    wait_until(lambda: tab.value(link) == "Live", 20, "a stream")
    queue.stop()
    wait_until(lambda: tab.value(link).startswith("No connection"), 20, "the lost connection")
    complaints = list(tab.complaints)
    queue.start()
    wait_until(lambda: tab.value(link) == "Live", 30, "the stream to come back")
    # That nobody answered is no fault of the page.
    tab.complaints = [c for c in complaints + tab.complaints if "ERR_" not in c]
    wait_until(lambda: "incarnation 5" in tab.value("document.getElementById('head').textContent"), 10, "the next life")
    enter(tab, "#head form[action='/actions/pause'] button", "The queue is paused")
    enter(tab, "#head form[action='/actions/resume'] button", "The queue goes on")
    passed("the page follows the next daemon")


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    axe = axe_source()
    queue = Queue()
    tomorrow = time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() + 86_400))
    try:
        queue.running = queue.enqueue("<b onclick=alert(1)>.jsonl", 20_000, 200, "--deadline", tomorrow)
        queue.start()
        with Chromium() as browser:
            tab = browser.tab()
            live(tab, queue)
            looks(tab, queue, folder, axe)
            actions(tab, queue)
            retry(tab, queue)
            actions(tab, queue, scripts=False)
            reconnects(tab, queue)
            check(not tab.complaints, f"the console says {json.dumps(tab.complaints, indent=1)}")
            passed("the console has no error and no violation of the policy")
            others = {r for r in tab.requests if not r.startswith((queue.address + "/", "data:"))} - {"about:blank"}
            check(not others, f"other hosts were asked: {others}")
            passed(f"{len(tab.requests)} requests, none to another host")
        queue.stop()
    except AssertionError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        sys.exit(1)
    finally:
        queue.remove()
    print(f"screenshots: {folder}")


main()
