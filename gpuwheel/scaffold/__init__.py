"""Projects from templates: `gpuwheel new` and `gpuwheel update`, over copier."""

from __future__ import annotations

from gpuwheel.scaffold.new import NewProject, Wanted, make_project
from gpuwheel.scaffold.template_questions import questions, read_answers, template_summaries
from gpuwheel.scaffold.templates import template_names
from gpuwheel.scaffold.update import Change, Update, update_project

__all__ = [
    "Change",
    "NewProject",
    "Update",
    "Wanted",
    "make_project",
    "questions",
    "read_answers",
    "template_names",
    "template_summaries",
    "update_project",
]
