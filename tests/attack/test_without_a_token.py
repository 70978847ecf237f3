"""Attack 8: who has no token costs next to nothing."""

import time
from concurrent.futures import ThreadPoolExecutor

from environments.api.open_paths import SIGN_IN_PATHS
from tests.support.attack_harness import Person

REQUESTS = 400


def test_unknown_methods_and_paths_make_no_series(nobody: Person, admin: Person) -> None:
    def ask(method: str, path: str) -> int:
        connection = nobody.connection(60)
        connection.request(method, path)
        status = connection.getresponse().status
        connection.close()
        return status

    ask("MADEUP", "/nothing")
    ask("GET", "/nothing/else")
    before = len(admin.metrics())
    codes = {ask(f"M{number}", "/v1/environments") for number in range(REQUESTS)}
    codes |= {ask("GET", f"/nothing/{number}") for number in range(REQUESTS)}
    assert not {code for code in codes if code >= 500 and code != 501}, codes
    after = admin.metrics()
    assert len(after) - before < 60
    assert not [line for line in after if 'method="M1' in line]


def test_a_flood_of_questions_for_readiness_costs_others_nothing(nobody: Person, alice: Person) -> None:
    began = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        codes = list(pool.map(lambda _: nobody.http.get("/self/readiness").status_code, range(REQUESTS)))
    assert set(codes) <= {200, 429, 503}
    assert 200 in codes
    print(f"{REQUESTS / (time.monotonic() - began):.0f} a second")
    assert alice.http.get("/v1/environments", timeout=60).status_code == 200


def test_nothing_else_answers(nobody: Person, admin: Person) -> None:
    for path, methods in admin.get("/openapi.json")["paths"].items():
        for method in methods:
            if path in ("/self/liveness", "/self/readiness"):
                continue
            response = nobody.http.request(method.upper(), path.replace("{", "").replace("}", ""), json={})
            if path in SIGN_IN_PATHS:  # whoever asks there has no token yet; nothing is done without what they ask for
                assert response.status_code == (200 if method == "get" else 422), (method, path)
                continue
            assert response.status_code == 401, (method, path)
