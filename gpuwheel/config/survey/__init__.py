"""Which lines of existing sources keep them from torch's stable ABI, read without a compiler.

A reading and no proof: the compiler has the last word. What is certain is refused before anything is compiled.
"""

from gpuwheel.config.survey.covered import CompatFacts, load_facts
from gpuwheel.config.survey.surveying import survey_extensions, survey_sources

__all__ = ["CompatFacts", "load_facts", "survey_extensions", "survey_sources"]
