"""The page that chooses a wheel, in a browser: what it answers, every control, and who can use it."""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import pytest
from click.testing import CliRunner
from machine_texts import MACHINE_TEXTS
from offered import many_offered, offered, random_wheels
from small_wheels import small_wheel

from gpuwheel.cli import main
from gpuwheel.compatibility import load_tables
from gpuwheel.model.archs import Arch
from gpuwheel.model.versions import DriverVersion
from gpuwheel.publish.device_facts import DeviceCode, Ptx
from gpuwheel.publish.selector.choosing import choose
from gpuwheel.publish.selector.install_lines import TOOLS, install_lines
from gpuwheel.publish.selector.offers import Offer
from gpuwheel.publish.selector.selector_page import selector_page
from gpuwheel.publish.selector.target_machine import Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gpuwheel.publish.published import PublishedWheel

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.browser


def code(*cubins: str, driver: str = "525", ptx: tuple[Ptx, ...] = ()) -> DeviceCode:
    return DeviceCode(("ops/_C.so",), cubins, ptx, driver, further=False)


WHEELS = [
    offered("1.0"),
    offered("1.1+cpu", code=[]),
    offered("1.1+cu126", code=[code("8.0", "9.0")], cuda="12.6"),
    offered("1.1+cu130", code=[code("9.0", "10.0", driver="580", ptx=(Ptx("10.0", "580.65.06"),))], cuda="13.0"),
    offered("1.1", tags=["cp310-abi3-win_amd64"]),
    offered("1.1", tags=["cp310-abi3-macosx_11_0_arm64"], code=[]),
    offered("1.1", tags=["cp310-abi3-manylinux_2_28_aarch64"]),
    offered("1.1", tags=["cp310-abi3-musllinux_1_2_x86_64"]),
    offered("1.1", tags=["cp314-cp314t-manylinux_2_28_x86_64"]),
    offered("1.2", torch=">=2.14", tags=["cp310-abi3-manylinux_2_34_x86_64"]),
    offered("1.3rc1"),
    offered("1.3", yanked="broken"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  # not everywhere

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:  # noqa: ANN401  # of playwright
    """Opens a page with some wheels; what goes wrong in it, and whatever else it asks for, fails the test."""
    troubles: list[str] = []
    contexts = []

    def open_page(wheels: Sequence[PublishedWheel] = WHEELS, fragment: str = "", **settings: Any) -> Any:  # noqa: ANN401
        file = tmp_path / "index.html"
        file.write_text(selector_page("ops", wheels, load_tables()), encoding="utf-8")
        context = browser.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda message: troubles.append(message.text))
        page.on("dialog", lambda dialog: troubles.append(dialog.message))
        page.on("request", lambda asked: asked.url.partition("#")[0] == file.as_uri() or troubles.append(asked.url))
        page.goto(file.as_uri() + fragment)
        return page

    open_page.troubles = troubles  # type: ignore[attr-defined]  # for who provokes one
    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []


def answer(page: Any) -> str:  # noqa: ANN401
    """The version that is told to fit; "" where none does."""
    title = page.inner_text("#answer-title")
    return str(title).removeprefix("ops ").removesuffix(" fits") if title.endswith(" fits") else ""


# ---- the answers


def random_choice(chance: random.Random) -> tuple[str, Machine]:
    """A fragment, and the machine that it means."""
    system = chance.choice(("linux", "linux", "windows", "macos"))
    libc = chance.choice(("glibc", "glibc", "musl")) if system == "linux" else "glibc"
    release = chance.choice(
        {"linux": ("", "2.28", "2.36") if libc == "glibc" else ("", "1.2"), "macos": ("", "12.0")}.get(system, ("",))
    )
    python, threads = chance.choice((("3.10", ""), ("3.12", ""), ("3.13.2", ""), ("3.14", "1")))
    torch = chance.choice(("", "2.9", "2.13", "2.13.0+cu126", "2.15"))
    gpus = chance.choice(("", "none", "8.0", "9.0", "10.3", "8.0,9.0"))
    driver = chance.choice(("", "525.60.13", "570.26", "580.65.06"))
    pre, cpu = chance.choice(("", "1")), chance.choice(("x86_64", "aarch64"))
    told = {"system": system, "cpu": cpu, "libc": libc, "release": release, "python": python, "free_threaded": threads}
    told |= {"torch": torch, "gpus": gpus, "driver": driver, "pre": pre, "tool": "pip"}
    machine = Machine(
        python,
        free_threaded=bool(threads),
        system=system,
        cpu=cpu,
        libc=libc,
        release=tuple(map(int, release.split("."))) if release else None,  # type: ignore[arg-type]
        torch=torch or None,
        gpus=None if not gpus else () if gpus == "none" else tuple(Arch.parse(gpu) for gpu in gpus.split(",")),
        driver=DriverVersion.parse(driver) if driver else None,
        pre_releases=bool(pre),
    )
    return "#" + "&".join(f"{key}={value.replace('+', '%2B')}" for key, value in told.items()), machine


SHOWN = """async (fragments) => {
  const moved = (fragment) => new Promise((done) => {
    addEventListener("hashchange", () => setTimeout(done), { once: true });
    location.hash = fragment;
  });
  const text = (inside, name) => inside.querySelector(name).textContent;
  const told = [];
  for (const fragment of fragments) {
    await moved(fragment);
    const rows = [...document.querySelectorAll("#rows li")].map((row) => [text(row, "code"), text(row, "p")]);
    const panels = [...document.querySelectorAll("[role=tabpanel]")];
    const lines = Object.fromEntries(panels.map((panel) => [panel.id.slice(6), text(panel, "code")]));
    told.push({ fits: document.getElementById("answer").dataset.fits, rows, lines });
  }
  return told;
}"""


def test_the_page_answers_as_the_command_does(opened: Callable[..., Any]) -> None:
    chance = random.Random(2026)  # noqa: S311
    wheels = random_wheels(chance, 40)
    page = opened(wheels)
    cases = [random_choice(chance) for _ in range(200)]
    # Each is another than the one before, or nothing would change.
    cases = [case for before, case in zip([("", None), *cases], cases, strict=False) if case[0] != before[0]]
    shown = page.evaluate(SHOWN, [fragment for fragment, _ in cases])
    here = page.url.partition("#")[0]
    for (fragment, machine), told in zip(cases, shown, strict=True):
        choice = choose(machine, [Offer(at(wheel, here)) for wheel in wheels])
        expected = [
            [
                one.offer.facts.filename,
                "; ".join(map(str, one.reasons)) or ("fits best" if one is choice.best else "fits"),
            ]
            for one in choice.verdicts
        ]
        assert told["rows"] == expected, fragment
        assert told["fits"] == ("yes" if choice.best else "no")
        lines = {line.name: line.text for line in install_lines(choice)}
        assert {name: text for name, text in told["lines"].items() if text} == lines, fragment
    assert len(cases) > 190
    assert 20 < sum(told["fits"] == "yes" for told in shown) < len(shown)


def at(wheel: PublishedWheel, base: str) -> PublishedWheel:
    """With absolute URLs, as a browser makes them at `base`."""
    return replace(wheel, url=urljoin(base, wheel.url), indexes=tuple(urljoin(base, one) for one in wheel.indexes))


def test_the_page_of_a_written_index_names_the_same_file(browser: Any, tmp_path: Path) -> None:  # noqa: ANN401
    for cuda in ("12.9", "13.0"):
        small_wheel(tmp_path, version=f"1.1+cu{cuda}", tag="py3-none-manylinux_2_17_x86_64", cuda=cuda)
    assert CliRunner().invoke(main, ["index", str(tmp_path)]).exit_code == 0
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"http://127.0.0.1:{server.server_address[1]}"
        page = browser.new_page()
        page.goto(f"{place}/#python=3.12")
        page.get_by_role("link", name="ops").click()
        page.get_by_label("GPU", exact=True).select_option("9.0")
        page.get_by_label("CUDA Version in nvidia-smi").select_option("570.26")
        shown = {tool: page.locator(f"[id='panel-{tool}'] code").text_content() for tool in TOOLS}
        python = page.locator("input[name=python]:checked").input_value()
        words = ["--elsewhere", "--python", python, "--gpu", "9.0", "--driver", "570.26", "--json"]
        # What the page says to type.
        program, *typed = shlex.split(page.text_content("#terminal"))
        told = json.loads(CliRunner().invoke(main, [*typed, *words]).stdout)
        server.shutdown()
    assert (program, typed) == ("gpuwheel", ["which", "ops", "--index", f"{place}/"])
    page.close()
    assert shown == told["lines"]
    assert "1.1%2Bcu12.9" in shown["pip"]


# ---- every control


def test_by_mouse(opened: Callable[..., Any]) -> None:
    page = opened()
    assert answer(page) == "1.2"
    page.get_by_label("torch", exact=True).select_option("2.13")
    assert answer(page) == "1.1+cu130"
    page.get_by_label("CUDA Version in nvidia-smi").select_option(label="CUDA 12.8 (driver 570.26 or newer)")
    assert answer(page) == "1.1+cu126"
    page.get_by_label("GPU", exact=True).select_option(label="B200")
    assert answer(page) == "1.1+cpu", "nothing else runs with this driver"
    page.get_by_label("CUDA Version in nvidia-smi").select_option("")
    assert answer(page) == "1.1+cu130"
    page.get_by_label("GPU", exact=True).select_option("none")
    assert answer(page) == "1.1+cpu"
    page.get_by_label("pre-releases too").check()
    assert answer(page) == "1.3rc1"
    page.get_by_label("pre-releases too").uncheck()
    page.get_by_role("radio", name="Windows").check()
    assert answer(page) == "1.1"
    assert page.locator("#release").is_hidden()
    assert page.get_by_role("tab", name="Containerfile").is_hidden()
    page.get_by_role("radio", name="macOS").check()
    assert answer(page) == ""
    page.get_by_role("radio", name="aarch64").check()
    assert answer(page) == "1.1"
    page.get_by_role("button", name="Start again").click()
    assert answer(page) == "1.2"
    page.get_by_label("C library").select_option("musl 1.2")
    assert answer(page) == "1.1"
    page.get_by_label("C library").select_option("glibc 2.28")
    page.get_by_role("radio", name="3.14").check()
    page.get_by_label("free-threaded").check()
    assert answer(page) == "1.1"
    page.get_by_label("Show names with").fill("cu13")
    assert page.locator("#rows li").count() == 1


def test_by_keyboard_alone(opened: Callable[..., Any]) -> None:
    page = opened()
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        now = page.evaluate(
            "document.activeElement.id || document.activeElement.name || document.activeElement.className"
        )
        if now in reached or page.evaluate("document.activeElement === document.body"):
            break
        reached.append(now)
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none" or now in {
            "system",
            "cpu",
            "python",
        }
    chips = [one for one in reached if one in {"system", "cpu", "python"}]
    assert chips == ["system", "cpu", "python"]
    everything = ["tab-pip", "copy", "filter", "paste", "system", "cpu", "release", "python", "free_threaded", "torch"]
    assert reached == [*everything, "gpus", "driver", "pre", "link", "reset"]
    page.focus("#torch")
    page.keyboard.type("2.13")
    assert answer(page) == "1.1+cu130"
    page.focus("#gpus")
    page.keyboard.type("A100")
    assert answer(page) == "1.1+cu126"
    page.focus("input[name=python]:checked")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.value") == "3.14"
    page.focus("#pre")
    page.keyboard.press("Space")
    assert answer(page) == "1.3rc1"
    page.focus("#tab-pip")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.id") == "tab-pyproject.toml"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "tab-uv"
    assert page.locator("#panel-uv").is_visible()
    page.keyboard.press("End")
    assert page.locator("[id='panel-pyproject.toml']").is_visible()
    page.focus("#reset")
    page.keyboard.press("Enter")
    assert answer(page) == "1.2"


def test_each_way_to_install_is_copied(opened: Callable[..., Any]) -> None:
    page = opened(permissions=["clipboard-read", "clipboard-write"])
    for tool in ("pip", "uv", "pixi", "Containerfile", "pyproject.toml"):
        page.get_by_role("tab", name=tool).click()
        text = page.get_by_role("tabpanel").locator("code").text_content()
        page.get_by_role("button", name=f"Copy the lines for {tool}").click()
        page.get_by_text("Copied").first.wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == text
        assert "ops" in text
    page.get_by_role("button", name="Copy link").click()
    page.wait_for_function("navigator.clipboard.readText().then((text) => text.includes('tool=pyproject.toml'))")


def test_a_choice_is_in_the_address(opened: Callable[..., Any]) -> None:
    page = opened()
    page.get_by_label("torch", exact=True).select_option("2.13")
    page.get_by_label("GPU", exact=True).select_option("9.0")
    page.get_by_role("tab", name="uv").click()
    again = opened(fragment="#" + page.url.partition("#")[2])
    assert answer(again) == answer(page) == "1.1+cu130"
    assert again.get_by_label("torch", exact=True).input_value() == "2.13"
    assert again.locator("#panel-uv").is_visible()
    odd = opened(fragment="#python=<b>&torch=%22&gpus=x&driver=..&system=amiga&tool=sh&release=9&cpu=%00")
    assert answer(odd) == "1.2"


@pytest.mark.parametrize("name", [name for name, (_, told) in MACHINE_TEXTS.items() if told.get("torch")])
def test_what_is_pasted_is_chosen(opened: Callable[..., Any], name: str) -> None:
    page = opened()
    text, told = MACHINE_TEXTS[name]
    page.get_by_label("Paste the output").fill(text)
    understood = page.inner_text("#understood")
    assert understood.startswith("Understood: ")
    assert f"torch {told['torch']}" in understood
    assert page.get_by_label("torch", exact=True).input_value() == told["torch"]
    assert page.locator("input[name=system]:checked").input_value() == told["system"]
    if told.get("gpus"):
        assert page.get_by_label("GPU", exact=True).input_value() == ",".join(told["gpus"])
    # Who does not see the page hears it.
    assert understood in page.inner_text("#live")


def test_a_gpu_that_nobody_knows_is_named(opened: Callable[..., Any]) -> None:
    page = opened()
    page.get_by_label("Paste the output").fill("GPU 0: NVIDIA <i>Future</i> 9000 (UUID: x)")
    assert "Not known: NVIDIA <i>Future</i> 9000" in page.inner_text("#understood")


def test_where_nothing_fits_the_nearest_is_told(opened: Callable[..., Any]) -> None:
    with_code = [wheel for wheel in WHEELS if wheel.facts.code]
    page = opened(with_code, "#torch=2.13&gpus=10.0&driver=570.26&python=3.12")
    assert page.inner_text("#answer-title").endswith("No wheel fits this machine")
    assert "The nearest is ops 1.1+cu130" in page.inner_text("#answer-text")
    assert page.inner_text("#changes") == "update the NVIDIA driver: driver 570.26, expected 580 or newer, for GPU 10.0"
    assert page.get_by_role("tab").count() == 0
    empty = opened([])
    assert empty.inner_text("#answer-title").endswith("There is no wheel here")


# ---- who can use it, and what cannot use it


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("fragment", ["", "#torch=2.9", "#tool=pyproject.toml&gpus=9.0"])
def test_nothing_keeps_a_reader_out(opened: Callable[..., Any], scheme: str, fragment: str) -> None:
    page = opened(fragment=fragment, color_scheme=scheme)
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415  # not everywhere

    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    narrow = opened(fragment=fragment, color_scheme=scheme, viewport={"width": 320, "height": 640})
    assert narrow.evaluate("document.documentElement.scrollWidth") <= 320, "without scrolling sideways (WCAG 1.4.10)"


def test_changes_are_heard(opened: Callable[..., Any]) -> None:
    page = opened()
    assert page.inner_text("#live") == "", "nothing before the reader does something"
    page.get_by_label("torch", exact=True).select_option("2.9")
    assert page.inner_text("#live").startswith("No wheel fits this machine. 0 of 12 wheels fit.")


HOSTILE = "</script><script>alert(1)</script><!--<img src=x onerror=alert(1)>\u2028'\"&amp;"


def test_nothing_of_a_wheel_becomes_markup(opened: Callable[..., Any]) -> None:
    plain = offered("1.0", yanked=HOSTILE, python=f">=3.10,{HOSTILE}")
    page = opened([replace(plain, facts=replace(plain.facts, summary=HOSTILE))])
    assert page.text_content("#summary") == HOSTILE
    assert "<script>alert(1)</script>" in page.text_content("#rows")
    assert page.locator("script").count() == 2
    assert page.locator("img").count() == 0


def test_the_browser_runs_no_other_script(opened: Any) -> None:  # noqa: ANN401
    page = opened()
    page.evaluate(
        "addEventListener('securitypolicyviolation', (event) => { window.refused = event.effectiveDirective; })"
    )
    with page.expect_console_message(lambda message: "Content Security Policy" in message.text) as said:
        page.evaluate(
            """() => {
              const added = document.createElement("script");
              added.textContent = "document.title = 'taken'";
              document.body.append(added);
            }"""
        )
    opened.troubles.remove(said.value.text)
    assert page.evaluate("window.refused") == "script-src-elem"
    assert page.title() == "ops: choose a wheel"


@pytest.mark.heavy
def test_pictures(browser: Any, tmp_path: Path) -> None:  # noqa: ANN401
    """`GPUWHEEL_PICTURES=docs/images` puts them there."""
    folder = Path(os.environ.get("GPUWHEEL_PICTURES", tmp_path))
    wheels = [wheel for wheel in WHEELS if wheel.facts.version != "1.1+cpu"]
    text = selector_page("ops", wheels, load_tables())
    shown = "#torch=2.13&gpus=9.0&driver=580.65.06&python=3.12&release=2.35"
    pictures = {
        "selector-light": ("light", shown),
        "selector-dark": ("dark", shown),
        "selector-nothing-fits": ("light", "#torch=2.13&gpus=10.0&driver=570.86.15&python=3.12"),
    }
    address = "https://wheels.example.org/choose/ops/"
    for name, (scheme, fragment) in pictures.items():
        context = browser.new_context(color_scheme=scheme, viewport={"width": 1200, "height": 900})
        context.route(address, lambda route: route.fulfill(body=text, content_type="text/html; charset=utf-8"))
        page = context.new_page()
        page.goto(address + fragment)
        page.screenshot(path=folder / f"{name}.png")
        context.close()
    taken = {(folder / f"{name}.png").read_bytes() for name in pictures}
    assert len(taken) == 3
    assert min(map(len, taken)) > 50_000, "an empty page is smaller"


def test_ten_thousand_wheels(opened: Callable[..., Any]) -> None:
    # How soon it answers is measured by ci/bench/selector_page.py.
    wheels = many_offered()
    assert len(wheels) == 10_000
    page = opened(wheels, "#python=3.12&gpus=9.0")
    assert page.evaluate("performance.getEntriesByName('interactive').length") == 1
    assert answer(page) == "10.49+cu13.0"
    page.get_by_label("GPU", exact=True).select_option("12.0")
    assert answer(page) == ""
    assert page.inner_text("#counts").startswith("0 of 10000 wheels fit.")
    page.get_by_label("GPU", exact=True).select_option("8.0")
    assert answer(page) == "10.49+cu13.0"
    assert page.locator("#rows li").count() == 40
    page.locator("#more").click()
    assert page.locator("#rows li").count() == 80
    assert page.evaluate("document.activeElement === document.querySelectorAll('#rows li')[40]")
