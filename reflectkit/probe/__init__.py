"""Is this endpoint set up right? ``doctor`` asks it and says what is wrong and how to mend it."""

from .examine import Examination, doctor, examined
from .findings import CATALOGUE, Finding, Severity

__all__ = ["CATALOGUE", "Examination", "Finding", "Severity", "doctor", "examined"]
