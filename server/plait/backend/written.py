"""A number that keeps how it was written."""


class Written(float):
    """A float that knows how it was written: in arithmetic it is the nearest double (`inf` where
    there is none), as JSON or text it is what the backend, or the client, sent."""

    __slots__ = ("text",)

    text: str

    def __new__(cls, text: str) -> "Written":
        made = super().__new__(cls, text)
        made.text = text
        return made

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple[type["Written"], tuple[str]]:
        return Written, (self.text,)
