"""The report of a training job, as a browser gets it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from watched_trainings import HOSTILE, broken, evaluation, image, training

from sagemaker_dogbreed.analysis.report.content import ReportContent
from sagemaker_dogbreed.analysis.report.document import render, write_report
from sagemaker_dogbreed.analysis.report.inline_svg import inline_svg
from sagemaker_dogbreed.analysis.report.job_card import job_card
from sagemaker_dogbreed.analysis.training_plots import plot_learning_curves
from sagemaker_dogbreed.container.debugging.watch import RuleStatus

SECTIONS = (
    "diagnosis",
    "curves",
    "gradients",
    "system",
    "steps",
    "rules",
    "evaluation",
    "images",
    "environment",
)


class Page(HTMLParser):
    """The tags of a page with their attributes, and the text of each section."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {"": ""}
        self._section = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "section":
            self._section = dict(attrs)["id"].removeprefix("section-")
            self.sections[self._section] = ""

    def handle_endtag(self, tag):
        if tag == "section":
            self._section = ""

    def handle_data(self, data):
        self.sections[self._section] += f" {data.strip()}" if data.strip() else ""

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.tags if name in attributes]


def cause(**changes):
    values = {
        "title": "Training waits for images",
        "explanation": "The GPU stands still.",
        "evidence": ("80 % of the time goes into data",),
        "change": {"num_workers": (0, 4)},
        "advice": (),
        "level": "high",
    }
    return SimpleNamespace(**{**values, **changes})


def diagnosis(*causes, harmless=(), looked_at=("2 rules",)):
    return SimpleNamespace(causes=causes, summary="", harmless=harmless, looked_at=looked_at)


DESCRIBE = {
    "TrainingJobStatus": "Completed",
    "HyperParameters": {"learning_rate": "0.001", "hub_token": "hush"},
    "ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 2},
    "FinalMetricDataList": [{"MetricName": "Test Top-1", "Value": 0.8765}],
    "TrainingTimeInSeconds": 400,
}
RULES = (
    RuleStatus(name="BatchSize", status="NoIssuesFound"),
    RuleStatus(
        name="Dataloader", status="IssuesFound", details="0 of 4 workers", violations=3, first_step=1234
    ),
)


@pytest.fixture(scope="module")
def full() -> str:
    return render(
        ReportContent(
            job_name="job-1",
            describe=DESCRIBE,
            history=training(epochs=3, steps=12),
            rules=RULES,
            parameters={"Dataloader": {"max_threshold": 200}},
            diagnosis=diagnosis(cause(), cause(title="Overfit", level="low")),
            evaluation=evaluation(),
            settings={"processors": 4},
        )
    )


@pytest.fixture(scope="module")
def hostile() -> str:
    content = evaluation((HOSTILE, "pug"))
    content["worst"] = [image(HOSTILE, HOSTILE, HOSTILE, None)]
    return render(
        ReportContent(
            job_name=HOSTILE,
            describe={
                "TrainingJobStatus": HOSTILE,
                "FailureReason": HOSTILE,
                "HyperParameters": {HOSTILE: HOSTILE},
                "ResourceConfig": HOSTILE,
                "FinalMetricDataList": [HOSTILE, {"MetricName": HOSTILE, "Value": HOSTILE}],
                "InputDataConfig": [{"ChannelName": HOSTILE, "DataSource": HOSTILE}],
            },
            history=broken(),
            rules=[RuleStatus(name=HOSTILE, status=HOSTILE, details=HOSTILE)],
            parameters={HOSTILE: {HOSTILE: HOSTILE}},
            diagnosis=diagnosis(
                cause(
                    title=HOSTILE,
                    explanation=HOSTILE,
                    evidence=[HOSTILE],
                    change={HOSTILE: (HOSTILE, HOSTILE)},
                    advice=[HOSTILE],
                    level=HOSTILE,
                ),
                harmless=[HOSTILE],
            ),
            left_out=[HOSTILE],
            evaluation=content,
            settings={HOSTILE: HOSTILE},
        )
    )


def test_a_report_tells_what_there_is(full):
    """Each section has what belongs there, the worst cause and the rules with issues first."""
    page = Page(full)
    assert set(SECTIONS) < set(page.sections)
    head, sections = page.sections[""], page.sections
    assert "job-1" in head
    for words in ("Completed", "87.6 %", "3 of 3", "1 of 2", "6 min 40 s"):
        assert words in head
    assert re.search(r"Training waits for images.*num_workers.*0.*→.*4.*Overfit", sections["diagnosis"])
    assert "Best validation loss" in sections["curves"]
    assert "head.0.weight" in sections["gradients"]
    assert "initialization" in sections["system"]
    assert "optimizer" in sections["steps"]
    assert re.search(
        r"Dataloader.*0 of 4 workers.*3 times.*max_threshold 200.*1,234.*BatchSize", sections["rules"]
    )
    assert "whippet" in sections["evaluation"]
    assert "beagle/0.jpg" in sections["images"]
    for words in ("ml.g5.xlarge", "learning_rate", "0.001", "processors"):
        assert words in sections["environment"]


def test_a_report_without_data_says_why(tmp_path):
    """Every section says in a sentence what is missing, and there are no plots."""
    path = write_report(tmp_path / "deep" / "report.html", ReportContent(job_name="job-1"))
    html = path.read_text(encoding="utf-8")
    page = Page(html)
    assert "svg" not in {tag for tag, _ in page.tags}
    sentences = {name: text for name, text in page.sections.items() if name}
    assert set(sentences) == set(SECTIONS)
    assert {name for name, text in sentences.items() if not text.endswith(".")} == set()
    assert "No tensors were recorded: debugger was off" in sentences["gradients"]
    assert html.count('class="missing"') == len(SECTIONS)


def test_a_report_needs_nothing_else(full):
    """There is no script, no address that a browser would follow, and a policy that forbids both."""
    page = Page(full)
    tags = {tag for tag, _ in page.tags}
    assert tags & {"script", "link", "iframe", "object", "embed", "base", "form", "foreignobject"} == set()
    assert {value[:5] for value in page.attributes("src")} == {"data:"}
    assert {value[0] for value in page.attributes("href")} == {"#"}
    assert "@import" not in full
    assert set(re.findall(r"url\((.)", full)) <= {"#"}
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert policy in page.attributes("content")


def test_identifiers_are_unique_and_references_lead_somewhere(full):
    """Two figures of one report must not use each other's marks and clip paths."""
    page = Page(full)
    identifiers = page.attributes("id")
    assert len(identifiers) == len(set(identifiers)) > 100
    references = [value.removeprefix("#") for value in page.attributes("href")]
    references += re.findall(r"url\(#([^)]+)\)", full)
    assert set(references) <= set(identifiers)


def test_figures_are_texts_in_the_pages_colors(full):
    """Text is text, and no color that the page has for light and dark is fixed in a figure."""
    figures = re.findall(r"<svg.*?</svg>", full, re.DOTALL)
    assert len(figures) == 10  # five, for wide pages and for narrow ones
    for figure in figures:
        assert "<text" in figure
        assert "font-family" not in figure
        assert "aria-label" in figure
        assert set(re.findall(r"#[0-9a-f]{6}\b", figure)) <= {"#111111"}
    declared = set(re.findall(r"(--\w[\w-]*):", full))
    assert set(re.findall(r"var\((--[\w-]+)\)", full)) <= declared


def test_the_same_figure_gives_the_same_text():
    """Nothing of the time, of chance or of matplotlib's version is in it."""
    history = training(epochs=1, steps=3)
    one, two = (inline_svg(plot_learning_curves(history), "curves") for _ in range(2))
    assert one == two
    assert "matplotlib.org" not in one


def test_names_cannot_break_out(hostile):
    """Names that are HTML stay texts; what is invisible or half a character is replaced."""
    page = Page(hostile)
    tags = {tag for tag, _ in page.tags}
    assert tags & {"script", "img"} == {"img"}
    assert "<script" not in hostile
    for name in ("diagnosis", "rules", "evaluation", "images", "environment"):
        assert "<script>alert('x')</script>\"&$\\frac{1}$" in page.sections[name]
    assert re.search("[\x00-\x08\x1b\u202e\ud800-\udfff]", hostile) is None
    on_events = [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert on_events == []


def test_secrets_are_hidden(full):
    """The value of a hyperparameter whose name says that it is secret is not in the report."""
    assert "hub_token" in full
    assert "hush" not in full


def test_a_card_tells_of_a_job():
    """Name, status, metrics and the rules that found something; the others are not named."""
    card = job_card({"TrainingJobName": "job-1", **DESCRIBE}, {"Test Top-1": 0.8765}, RULES)
    text = " ".join(Page(card).sections[""].split())
    assert text == (
        "job-1 Completed instance 2 of ml.g5.xlarge Test Top-1 0.8765 rules Dataloader 0 of 4 workers"
    )
    quiet = job_card({}, {}, RULES[:1])
    assert "none of 1 found an issue" in quiet
    assert "training job" in quiet


def test_names_cannot_break_out_of_a_card():
    """A card is put into a notebook as it is: what it names is escaped."""
    rule = RuleStatus(name=HOSTILE, status="IssuesFound", details=HOSTILE)
    describe = {"TrainingJobName": HOSTILE, "TrainingJobStatus": HOSTILE, "FailureReason": HOSTILE}
    card = job_card(describe, {HOSTILE: 0.5}, [rule] * 20)
    assert {tag for tag, _ in Page(card).tags} == {"div", "strong", "span", "table", "tr", "td", "br"}
    assert card.encode()
    assert "\u202e" not in card
    assert "and 12 more" in card
