"""x"""
from typing import Any
def explore_orders(trial: Any, bound: int, tell: Any) -> Any:
    raise NotImplementedError
