"""Before any of it: what fits the rows, which strategies are worth running, and what that takes in memory, time and money.

Takes rows or a description. Gives a `Plan`, whose settings `hone compare` or `hone tune` run as they are.
"""

from hone.plan.records import Cost, Enough, Plan, PlanSettings, Rule, Scratch, Survey
from hone.plan.rules import enough_rows, strategy_rules
from hone.plan.run import make_plan, write_plan
from hone.plan.survey import described
from hone.plan.told import plan_text

__all__ = [
    "Cost",
    "Enough",
    "Plan",
    "PlanSettings",
    "Rule",
    "Scratch",
    "Survey",
    "described",
    "enough_rows",
    "make_plan",
    "plan_text",
    "strategy_rules",
    "write_plan",
]
