"""A golden document with one value changed or gone."""


def changed(path, value):
    def change(document):
        *parents, last = path
        for key in parents:
            document = document[key]
        if value is GONE:
            del document[last]
        else:
            document[last] = value

    return change


GONE = object()
EYE_METRICS = (
    "ear_open_left", "ear_open_right",
    "blink_closure_left_median", "blink_closure_right_median",
    "looking_down",
)  # fmt: skip
