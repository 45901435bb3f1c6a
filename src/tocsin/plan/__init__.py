"""The plan: files a team checks in, read into every room's types with positions and findings. Decides nothing.

``folder`` alone touches a disk; everything else is a function of the files' contents.
"""

from __future__ import annotations

from tocsin.notation.findings import Finding as Finding
from tocsin.plan.reading import Reading as Reading
from tocsin.plan.reading import plan_version as plan_version
from tocsin.plan.reading import read_plan as read_plan
from tocsin.plan.schema import json_schema as json_schema
from tocsin.plan.starter import starter_plan as starter_plan
