"""Image references, read as container engines read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.domain.errors import UsageError
from bluegreen.domain.image import ImageReference

SHA = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest", "written"),
    [
        ("nginx", "docker.io", "library/nginx", "latest", "", "nginx:latest"),
        ("nginx:1.27", "docker.io", "library/nginx", "1.27", "", "nginx:1.27"),
        ("alfredai/backend:v2.1.0", "docker.io", "alfredai/backend", "v2.1.0", "", "alfredai/backend:v2.1.0"),
        ("docker.io/nginx:1", "docker.io", "library/nginx", "1", "", "nginx:1"),
        ("index.docker.io/nginx:1", "docker.io", "library/nginx", "1", "", "nginx:1"),
        ("docker.io/library/nginx:1", "docker.io", "library/nginx", "1", "", "nginx:1"),
        ("localhost/x:1", "localhost", "x", "1", "", "localhost/x:1"),
        ("localhost:5000/a/b", "localhost:5000", "a/b", "latest", "", "localhost:5000/a/b:latest"),
        ("localhost:5000", "docker.io", "library/localhost", "5000", "", "localhost:5000"),
        ("registry.example.com:5000/a/b:v1", "registry.example.com:5000", "a/b", "v1", "", None),
        ("Registry.Example.com/a:v1", "Registry.Example.com", "a", "v1", "", None),
        ("[::1]:5000/a:v1", "[::1]:5000", "a", "v1", "", None),
        ("[fe80::1]/a:v1", "[fe80::1]", "a", "v1", "", None),
        (f"a/b@{SHA}", "docker.io", "a/b", "", SHA, f"a/b@{SHA}"),
        (f"r.io:1/a/b:v1@{SHA}", "r.io:1", "a/b", "v1", SHA, f"r.io:1/a/b:v1@{SHA}"),
        ("a/b__c-d---e.f:V_1.x-y", "docker.io", "a/b__c-d---e.f", "V_1.x-y", "", None),
        ("docker.io/library/a/b:1", "docker.io", "library/a/b", "1", "", None),
        ("docker.io/foo.com/bar:1", "docker.io", "foo.com/bar", "1", "", None),
        (f"a:{'t' * 128}", "docker.io", "library/a", "t" * 128, "", f"a:{'t' * 128}"),
        (f"x/{'a' * 253}:1", "docker.io", f"x/{'a' * 253}", "1", "", None),
    ],
)
def test_read_and_written(
    text: str, registry: str, repository: str, tag: str, digest: str, written: str | None
) -> None:
    found = ImageReference.parse(text)
    assert found == ImageReference(registry=registry, repository=repository, tag=tag, digest=digest)
    assert str(found) == (text if written is None else written)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the repository is missing"),
        (":v1", "the repository is missing"),
        ("docker.io/", "the repository is missing"),
        ("Alfred/backend:v1", "'Alfred' may hold only lower-case letters"),
        ("a/Backend", "'Backend' may hold only lower-case letters"),
        ("a//b", "the repository part ''"),
        ("a/b/", "the repository part ''"),
        ("a/b_:v1", "'b_'"),
        ("a/b___c", "'b___c'"),
        ("a b", "'a b'"),
        ("a:v1\n", "the tag 'v1\\\\n' is not a tag"),
        ("a:", "the tag '' is not a tag"),
        ("r.io:5000/a:", "the tag '' is not a tag"),
        ("a:-x", "the tag '-x' is not a tag"),
        ("a:v1:v2", "'a:v1' may hold only"),
        (f"a:{'t' * 129}", "is not a tag"),
        ("a@", "the digest '' is not algorithm:hexadecimal"),
        ("a@sha256", "the digest 'sha256' is not"),
        ("a@sha256:", "the digest 'sha256:' is not"),
        (f"a@{SHA[:-1]}", "the digest has 63 hexadecimal digits, and sha256 has 64"),
        (f"a@{SHA}g", "is not algorithm:hexadecimal"),
        ("a..b/c", "the registry 'a..b' is not a host name"),
        ("-a.io/c", "the registry '-a.io' is not a host name"),
        ("a.io:/c", "the registry 'a.io:' is not a host name"),
        ("a.io:123456/c", "the registry 'a.io:123456' is not a host name"),
        ("[::g]/c", "is not a host name"),
        (f"x/{'a' * 254}", "longer than 255"),
    ],
)
def test_refused_with_the_part_that_is_wrong(text: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        ImageReference.parse(text)
    assert why.replace("\\\\", "\\") in str(caught.value)
    assert repr(text) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "alfredai/backend:v2.1.0" in caught.value.mend


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https://ann:hunter2@r.example.com/shop/web:v1", "image 'https://***@r.example.com/shop/web:v1': it is a URL"),
        ("https://ann:hunter2@r.example.com:5000", "image 'https://***@r.example.com:5000': it is a URL"),
        ("ann:hunter2@r.example.com/shop/web:v1", "image '***@r.example.com/shop/web:v1': it names a user"),
        ("ann:hun@ter2@r.example.com/shop/web", "image '***@r.example.com/shop/web': it names a user"),
        ("https://r.example.com/shop/web:v1", "image 'https://r.example.com/shop/web:v1': it is a URL"),
        ("a:" + "b" * 9000, f"image 'a:{'b' * 598}...': it is too long"),
    ],
)
def test_a_refusal_shows_no_password_and_has_an_end(text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        ImageReference.parse(text)
    assert str(caught.value).startswith(told)
    assert "hunter2" not in str(caught.value)
    assert "ter2" not in str(caught.value)


WORD = st.from_regex(r"[a-z0-9]{1,6}(?:(?:\.|_|__|-)[a-z0-9]{1,4}){0,2}", fullmatch=True)
HOST = st.sampled_from(["docker.io", "localhost", "localhost:80", "r.example.com", "R.io:5000", "[::1]", "[::1]:443"])
TAG = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True)


@st.composite
def references(draw: st.DrawFn) -> ImageReference:
    """Any reference that ``parse`` can yield, awkward ones included."""
    registry, parts = (
        draw(HOST),
        draw(st.lists(WORD | st.just("library") | st.just("localhost"), min_size=1, max_size=4)),
    )
    if registry == "docker.io" and len(parts) == 1:
        parts = ["library", *parts]
    tag, digest = draw(st.one_of(st.tuples(TAG, st.just("")), st.tuples(st.just("") | TAG, st.just(SHA))))
    return ImageReference(registry=registry, repository="/".join(parts), tag=tag, digest=digest)


@given(references())
def test_what_is_written_is_read_back_the_same(reference: ImageReference) -> None:
    assert ImageReference.parse(str(reference)) == reference


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    found = read(text)
    if isinstance(found, UsageError):
        assert len(str(found).splitlines()) == 1
    else:
        assert ImageReference.parse(str(found)) == found


def read(text: str) -> ImageReference | UsageError:
    try:
        return ImageReference.parse(text)
    except UsageError as error:
        return error


@pytest.mark.parametrize(
    ("text", "version", "mutable"),
    [("a:v2", "v2", True), ("a", "latest", True), (f"a@{SHA}", "0123456789ab", False), (f"a:v2@{SHA}", "v2", False)],
)
def test_version_and_whether_it_may_change(text: str, version: str, mutable: bool) -> None:  # noqa: FBT001 - a table
    found = ImageReference.parse(text)
    assert (found.version, found.mutable) == (version, mutable)
