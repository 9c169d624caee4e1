"""Letters that look like Latin letters, to refuse names that look like the reserved names."""

import unicodedata

from project_manager.domain.names import composed, name_key

# From confusables.txt of Unicode (UTS 39): characters whose skeleton is the upper-case or lower-case letter.
# Characters that compatibility normalization turns into the letter are omitted. U+04CF is the lower case of U+04C0.
# The table has only the letters of the reserved names.
_LOOK_ALIKES = {
    "/": "1735 2041 2044 2215 2571 27cb 29f8 2cc6 3033 30ce 31d3 4e3f 1d23a",
    "a": "0251 0391 03b1 0410 0430 13aa 15c5 237a a4ee 102a0 16f40",
    "c": "03f2 03f9 0421 0441 13df 1d04 2ca4 2ca5 a4da abaf 102a2 10302 10415 1043d 1051c 118e9 118f2 1f74c",
    "d": "0501 13a0 13e7 146f 15de 15ea a4d2 a4d3",
    "e": "0395 0415 0435 04bd 13ac 212e 22ff 2d39 a4f0 ab32 10286 118a6 118ae",
    "l": (
        "0031 0049 007c 0196 01c0 0399 0406 04c0 04cf 06f1 13de 14aa 16c1 2223 23fd 2c92 2cd0 2d4f a4e1 a4f2 1028a "
        "10309 10320 1041b 10526 118a3 118b2 16f16 16f28 1d22a"
    ),
    "m": "039c 03fa 041c 043c 13b7 15f0 16d6 2c98 a4df 102b0 10311",
    "n": "039d 0578 057c 2c9a a4e0 10513",
    "o": (
        "0030 039f 03bf 03c3 041e 043e 0555 0585 06f5 0966 09e6 0a66 0ae6 0b20 0b66 0be6 0c02 0c66 0c82 0ce6 "
        "0d02 0d20 0d66 0d82 0e50 0ed0 101d 1040 10ff 12d0 1d0f 1d11 2c9e 2c9f 2d54 3007 a4f3 ab3d 10292 "
        "102ab 10404 1042c 104c2 104ea 10516 114d0 118b5 118c8 118d7 118e0"
    ),
    "s": "01bd 0405 0455 054f 13d5 13da a4e2 a731 abaa 10296 10420 10448 118c1 16f3a",
    "t": "03a4 0422 0442 13a2 22a4 27d9 2ca6 a4d4 10297 102b1 10315 118bc 16f0a 1f768",
    "u": "028b 03c5 054d 057d 1200 144c 1d1c 222a 22c3 a4f4 a79f ab4e ab52 104ce 104f6 118b8 118d8 16f42",
    "y": ("0263 028f 03a5 03b3 0423 0443 04ae 04af 10e7 13a9 13bd 1d8c 1eff 2ca8 a4ec ab5a 102b2 118a4 118dc 16f43"),
}
_LETTERS = {int(code, 16): letter for letter, codes in _LOOK_ALIKES.items() for code in codes.split()}


def confusable_key(name: str) -> str:
    """Return a key that is equal for names that look alike. Replace look-alikes by the table, and `rn` by `m`."""
    text = composed(name).translate(_LETTERS)
    # Translate again before case folding: NFKC turns some characters into a capital I, which looks like `l`. After
    # folding it would be `i`, which looks like no other letter.
    text = unicodedata.normalize("NFKC", text).translate(_LETTERS)
    return name_key(text).translate(_LETTERS).replace("rn", "m")
