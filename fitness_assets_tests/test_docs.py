"""The README and the pages in docs/: short, in step with the settings, without broken links."""

import re
from pathlib import Path

from fitness_assets.settings import Settings

KNOWN = {f"FITNESS_{field.upper()}" for field in Settings.model_fields}


def pages(root: Path) -> list[Path]:
    return [root / "README.md", *sorted(root.glob("docs/**/*.md"))]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_short(root):
    assert len((root / "README.md").read_bytes()) <= 10_000


def test_every_link_leads_to_a_page_that_is_there(root):
    broken = []
    for page in pages(root):
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if target.startswith("https://"):
                continue
            path, _, anchor = target.partition("#")
            linked = (page.parent / path).resolve() if path else page
            if not linked.exists() or (anchor and anchor not in anchors(linked)):
                broken.append(f"{page.relative_to(root)}: {target}")
    assert broken == []


def test_the_template_of_settings_has_every_setting(root):
    text = (root / ".env.example").read_text()
    assert {*re.findall(r"^# (FITNESS_\w+)=", text, re.MULTILINE)} == KNOWN


def test_every_setting_that_a_page_mentions_is_there(root):
    for page in pages(root):
        assert {*re.findall(r"FITNESS_\w+", page.read_text())} <= KNOWN, page


def test_the_readme_describes_every_layer_and_links_every_page(root):
    text = (root / "README.md").read_text()
    unlinked = [path.name for path in root.glob("docs/*.md") if f"(docs/{path.name})" not in text]
    assert unlinked == []
