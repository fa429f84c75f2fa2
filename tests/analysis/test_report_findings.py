"""What a report says of rules, of what means no harm, and of what it could not judge."""

from __future__ import annotations

import re

import attrs

from sagemaker_dogbreed.analysis.diagnosis import Diagnosis, diagnose
from sagemaker_dogbreed.analysis.profile import Profile
from sagemaker_dogbreed.analysis.report.content import ReportContent
from sagemaker_dogbreed.analysis.report.document import render
from sagemaker_dogbreed.container.debugging.watch import RuleStatus

ZERO = RuleStatus(name="AllZero", status="IssuesFound", details="head.weight is zero")
OVERTRAINING = RuleStatus(name="Overtraining", status="IssuesFound", details="it is done")
FINE = RuleStatus(name="Overfit", status="NoIssuesFound")
EXCUSE = "Rule Overtraining: it is done; but patience ends it."
CONTENT = ReportContent(
    job_name="job-1", rules=(ZERO, OVERTRAINING, FINE), diagnosis=Diagnosis(harmless=(EXCUSE,))
)


def text(html: str, section: str = "") -> str:
    """The words of a section, or of what is above all of them."""
    if section:
        html = html.partition(f'<section id="section-{section}">')[2].partition("</section>")[0]
    else:
        html = html.partition("<body>")[2].partition("<main>")[0]
    return " ".join(re.sub("<[^>]+>", " ", html).split())


def badges(html: str) -> dict[str, str]:
    """By the rule's name, the classes of its badge."""
    rows = re.findall(r'class="badge ([^"]+)" title.*?<strong>(.*?)</strong>', html, re.DOTALL)
    return {name: look for look, name in rows}


def test_what_means_no_harm_is_told_quietly():
    """Its sentence stands under the diagnosis; its rule is no orange issue, and comes after those."""
    html = render(CONTENT)
    assert text(html, "diagnosis") == (
        f"Diagnosis Nothing wrong was found. No harm {EXCUSE} Looked at: nothing, for nothing was recorded."
    )
    assert badges(html) == {"AllZero": "bad", "Overtraining": "plain", "Overfit": "good"}
    assert re.search(r"issue AllZero.*no harm Overtraining", text(html, "rules"))


def test_the_first_words_are_the_diagnosis_own():
    """Where there was nothing to judge the page says so, as the diagnosis does where it is printed."""
    nothing = diagnose(Profile())
    words = text(render(attrs.evolve(CONTENT, diagnosis=nothing)), "diagnosis")
    assert words.removeprefix("Diagnosis ").startswith(nothing.summary)
    assert str(nothing).startswith(nothing.summary)


def test_the_tile_counts_what_matters():
    """Rules that mean no harm are counted apart, and not at all where there are none."""
    assert "Rules with issues 1 of 3 1 more, which means no harm" in text(render(CONTENT))
    without = attrs.evolve(CONTENT, diagnosis=Diagnosis())
    assert text(render(without)).partition("Rules with issues ")[2].startswith("2 of 3 Diagnosis")


def test_a_diagnosis_is_understood():
    """What diagnose() itself excuses is marked: its sentences begin as the report expects."""
    diagnosis = diagnose(Profile(), [OVERTRAINING], settings={"patience": 3})
    assert len(diagnosis.harmless) == 1
    content = attrs.evolve(CONTENT, diagnosis=diagnosis)
    assert [content.is_harmless(rule) for rule in CONTENT.rules] == [False, True, False]


def test_without_a_diagnosis_an_issue_is_an_issue():
    """Nobody has said that it means no harm."""
    assert badges(render(attrs.evolve(CONTENT, diagnosis=None)))["Overtraining"] == "bad"


def test_what_could_not_be_judged_is_named():
    """Its sentences stand under the rules, whether there are any rules or not."""
    sentence = "Rule Mine is defined in train.py, which is not here."
    assert text(render(attrs.evolve(CONTENT, left_out=[sentence])), "rules").endswith(sentence)
    assert text(render(ReportContent(job_name="job-1", left_out=[sentence])), "rules").endswith(sentence)
