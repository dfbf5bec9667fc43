"""What is shown of a log: bounded, calm, and without what looks like a secret."""

from __future__ import annotations

import pytest

from bluegreen.domain.excerpt import LARGEST, LONGEST, excerpt, shown

CANARY = "canary-4711"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl"


def test_the_last_lines_that_say_something() -> None:
    assert excerpt("one\n\n  \ntwo \nthree\n", lines=4) == ("two", "three")
    assert excerpt("", lines=4) == ()


@pytest.mark.parametrize(
    ("line", "calm"),
    [
        ("\x1b[31;1mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("a\x1bcb", "a cb"),
        ("bell\x07 back\x08 nul\x00", "bell  back  nul"),
        ("tab\there", "tab here"),
        ("\u202eturned", " turned"),
        ("Grüße, 世界 ✓", "Grüße, 世界 ✓"),
    ],
)
def test_nothing_steers_the_terminal(line: str, calm: str) -> None:
    assert shown(line) == calm


def test_a_long_line_is_cut() -> None:
    assert shown("x " * LONGEST) == ("x " * LONGEST)[: LONGEST - 1] + "…"


def test_of_too_much_the_last_is_kept() -> None:
    text = "\n".join(f"{number:03d} {'word ' * 80}" for number in range(100))
    kept = excerpt(text, lines=100)
    assert kept[-1].startswith("099 ")
    assert sum(len(line) + 1 for line in kept) <= LARGEST
    assert len(kept) == LARGEST // (len(kept[0]) + 1)


@pytest.mark.parametrize(
    "line",
    [
        f"password={CANARY}",
        f"DB_PASSWORD: {CANARY}",
        f'{{"password": "{CANARY} with blanks", "user": "ann"}}',
        f"client_secret='{CANARY} x'",
        f"api-key={CANARY}",
        f"AWS_SECRET_ACCESS_KEY={CANARY}",
        f"X-Auth-Token: {CANARY}",
        f"GET /hook?token={CANARY}&x=1",
        f"Authorization: Bearer {CANARY}",
        f'"authorization": "Basic {CANARY}"',
        f"sent bearer {CANARY}",
        f"Cookie: session={CANARY}; other=2",
        f"set-cookie: sid={CANARY}; Path=/",
        f"connecting to postgres://ann:{CANARY}@db:5432/shop",
        f"connecting to postgres://ann:p@{CANARY}@db:5432/shop",
        f"DB_PASS={CANARY}",
        f"pwd: {CANARY}",
        rf'{{"message": "got {{\"password\": \"{CANARY} with blanks\", \"user\": \"ann\"}}"}}',
        rf'{{"headers": "{{\"authorization\": \"Bearer {CANARY}\"}}"}}',
        f"ghp_{CANARY.replace('-', '')}abcdefgh",
        f"key sk-{CANARY}-abcdefghij",
        f"key sk_live_{CANARY}-abcdefghij",
        f"npm_{CANARY.replace('-', '')}abcdefgh",
        f"You have reached your pull rate limit as 'ann': dckr_jti_{CANARY}-{CANARY}=.",  # kubedog hides it, too
        f"docker login -p dckr_pat_{CANARY}-{CANARY}",
        f"user {JWT} came",
        CANARY.replace("-", "") * 5,
        f"   {CANARY.replace('-', '') * 5}",
        f"map[Authorization:[Bearer {CANARY}] Accept:[*/*]]",  # headers as Go prints them
        f'{{"X-Api-Key":["{CANARY}"]}}',
        f"Authorization: ApiKey {CANARY}",
        f'{{"secretKey": "{CANARY}"}}',
        f"signing_key: {CANARY}",
        f"AccountName=shop;AccountKey={CANARY};EndpointSuffix=core",
        f"https://shop.blob.core/x?sv=2020&sig={CANARY}",
        f'{{"auths": {{"reg.example": {{"auth": "{CANARY}"}}}}}}',
        f'{{:password=>"{CANARY}"}}',  # Ruby
        f"{{'password': b'{CANARY}'}}",  # Python
        f"<password>{CANARY}</password>",
        f"exec: mysql --host db --password {CANARY}",
        f'["app","--very-old-my-own-db-password {CANARY}"]',
        f"connecting to postgres://ann:p/{CANARY}@db:5432/shop",
        f"connecting to postgres://ann:it's-{CANARY}@db:5432/shop",
        f'connecting to postgres://ann:<"{CANARY}@db:5432/shop',
        f"https://AWS:{'Aa1/' * 600}{CANARY}@registry.example/web",  # a token of a cloud's registry
        f"dial ann:{CANARY}@tcp(db:3306)/shop",
        f"dial ann:it's-p@{CANARY}@tcp(db:3306)/shop",
        f'"key": "-----BEGIN PRIVATE KEY-----\\n{CANARY}\\n-----END PRIVATE KEY-----"',
        f"POST https://hooks.slack.com/services/T0/B0/{CANARY}",
        f"hvs.{CANARY}abcdefghij",
    ],
)
def test_what_looks_like_a_secret_is_hidden(line: str) -> None:
    found = shown(line)
    assert "***" in found
    for secret in (CANARY, CANARY.replace("-", ""), JWT):
        assert secret not in found


KEY = ["-----BEGIN RSA PRIVATE KEY-----", "MIIEvQIBADANBg" * 4, "c2hvcnQ=", "-----END RSA PRIVATE KEY-----"]


@pytest.mark.parametrize("before", ["", "2026-01-01T00:00:00Z app "])
@pytest.mark.parametrize("lines", [6, 5, 4])
def test_a_key_of_many_lines_is_hidden_to_its_last(lines: int, before: str) -> None:
    text = "\n".join(f"{before}{line}" for line in ["loading", "key:", *KEY, "loaded"])
    found = " ".join(excerpt(text, lines=lines))
    assert "MIIE" not in found
    assert "c2hvcnQ" not in found
    assert found.endswith("loaded")


def test_the_mention_of_a_key_hides_nothing() -> None:
    text = f"no {KEY[0]} in it\ngiving up"
    assert excerpt(text, lines=5)[-1] == "giving up"


def test_a_key_in_one_line_hides_none_of_the_lines_above_it() -> None:
    text = f'listening on 8080\nread {{"key": "{KEY[0]}\\nMIIE\\n{KEY[-1]}"}}\ngiving up'
    found = excerpt(text, lines=5)
    assert (found[0], found[-1]) == ("listening on 8080", "giving up")
    assert "MIIE" not in found[1]


@pytest.mark.parametrize(
    "line",
    [
        "Unexpected token } in JSON at position 5",
        "max_tokens 512",
        "GET /api/secrets 404",
        "dial tcp 10.0.0.1:5432: connect: connection refused",
        "https://example.org:8443/path",
        "password authentication failed for user ann",
        "bearer of bad news",
        "bypass=1, compass: north",
        "PASSED: 12, passed=3, tokens: 5",
        "http://reg:5000/team/web@sha256:0a1b",
        "--password-file /run/secrets/db",
        "POST /forgot-password 500",
        "the refresh-token expired",
        "failed to fetch anonymous token: unexpected status: 403 Forbidden",
        'failed to fetch token: serviceaccounts "web" not found',
        'MountVolume.SetUp failed for volume "v" : secret "s" not found',
        'exec: "/etc/passwd": permission denied: unknown',
        "open /run/secrets/db-password: no such file or directory",
        "stat /opt/get_token: not a directory",
    ],
)
def test_what_does_not_look_like_one_is_left(line: str) -> None:
    assert shown(line) == line


def test_no_line_takes_long() -> None:
    """Patterns that try again from each letter would take minutes here."""
    for line in (
        "password" * 5000,
        "a" * 50_000,
        "\x1b[" * 20_000,
        "://a:" * 9000,
        '"' * 40_000,
        'token="' + "\\" * 40_000,
        'token=\\"' + "\\" * 40_000,
        "://a:" + "b@" * 9000,
        "--a-" * 9000,
        "<pass" * 9000,
        "authorization:[" * 4000,
        "-----BEGIN PRIVATE KEY-----" * 2000,
        "a:" * 20_000,
    ):
        shown(line)
