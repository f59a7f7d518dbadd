"""What axe says of a page."""

from axe_playwright_python.sync_playwright import Axe


def serious_violations(page):
    """What axe finds serious or critical on a page: rule and the elements at fault."""
    found = Axe().run(page).response["violations"]
    return [
        (rule["id"], [node["target"] for node in rule["nodes"]])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ]
