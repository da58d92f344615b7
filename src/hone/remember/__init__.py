"""Stage 3 of 6: ADAPT, and keep what was there. Takes rows and a model, learns the rows once per way of not forgetting.

Gives one table, one page and one advised way, by what each way gained, lost and cost on the same rows and retained tasks. The runs are
`hone.tune`'s; here they are chosen and compared. What is advised can then be proven: `hone tune --may-lose`.
"""

from hone.remember.records import RememberRecord, WayResult
from hone.remember.run import remember_rows
from hone.remember.settings import REMEMBER, RememberSettings
from hone.remember.told import tell_ways
from hone.remember.ways import WAYS, Way

__all__ = ["REMEMBER", "WAYS", "RememberRecord", "RememberSettings", "Way", "WayResult", "remember_rows", "tell_ways"]
