//! Code pages of EBCDIC. National ones are exact for ASCII.

/// Code page 37 (EBCDIC of the United States) to ISO 8859-1.
#[rustfmt::skip]
pub(super) static IBM037: [u8; 256] = [
    0, 1, 2, 3, 156, 9, 134, 127, 151, 141, 142, 11, 12, 13, 14, 15, 16, 17, 18, 19, 157, 133, 8, 135,
    24, 25, 146, 143, 28, 29, 30, 31, 128, 129, 130, 131, 132, 10, 23, 27, 136, 137, 138, 139, 140, 5, 6, 7,
    144, 145, 22, 147, 148, 149, 150, 4, 152, 153, 154, 155, 20, 21, 158, 26, 32, 160, 226, 228, 224, 225, 227, 229,
    231, 241, 162, 46, 60, 40, 43, 124, 38, 233, 234, 235, 232, 237, 238, 239, 236, 223, 33, 36, 42, 41, 59, 172,
    45, 47, 194, 196, 192, 193, 195, 197, 199, 209, 166, 44, 37, 95, 62, 63, 248, 201, 202, 203, 200, 205, 206, 207,
    204, 96, 58, 35, 64, 39, 61, 34, 216, 97, 98, 99, 100, 101, 102, 103, 104, 105, 171, 187, 240, 253, 254, 177,
    176, 106, 107, 108, 109, 110, 111, 112, 113, 114, 170, 186, 230, 184, 198, 164, 181, 126, 115, 116, 117, 118, 119, 120,
    121, 122, 161, 191, 208, 221, 222, 174, 94, 163, 165, 183, 169, 167, 182, 188, 189, 190, 91, 93, 175, 168, 180, 215,
    123, 65, 66, 67, 68, 69, 70, 71, 72, 73, 173, 244, 246, 242, 243, 245, 125, 74, 75, 76, 77, 78, 79, 80,
    81, 82, 185, 251, 252, 249, 250, 255, 92, 247, 83, 84, 85, 86, 87, 88, 89, 90, 178, 212, 214, 210, 211, 213,
    48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 179, 219, 220, 217, 218, 159,
];

/// Code page 500 (EBCDIC International) to ISO 8859-1.
#[rustfmt::skip]
pub(super) static IBM500: [u8; 256] = [
    0, 1, 2, 3, 156, 9, 134, 127, 151, 141, 142, 11, 12, 13, 14, 15, 16, 17, 18, 19, 157, 133, 8, 135,
    24, 25, 146, 143, 28, 29, 30, 31, 128, 129, 130, 131, 132, 10, 23, 27, 136, 137, 138, 139, 140, 5, 6, 7,
    144, 145, 22, 147, 148, 149, 150, 4, 152, 153, 154, 155, 20, 21, 158, 26, 32, 160, 226, 228, 224, 225, 227, 229,
    231, 241, 91, 46, 60, 40, 43, 33, 38, 233, 234, 235, 232, 237, 238, 239, 236, 223, 93, 36, 42, 41, 59, 94,
    45, 47, 194, 196, 192, 193, 195, 197, 199, 209, 166, 44, 37, 95, 62, 63, 248, 201, 202, 203, 200, 205, 206, 207,
    204, 96, 58, 35, 64, 39, 61, 34, 216, 97, 98, 99, 100, 101, 102, 103, 104, 105, 171, 187, 240, 253, 254, 177,
    176, 106, 107, 108, 109, 110, 111, 112, 113, 114, 170, 186, 230, 184, 198, 164, 181, 126, 115, 116, 117, 118, 119, 120,
    121, 122, 161, 191, 208, 221, 222, 174, 162, 163, 165, 183, 169, 167, 182, 188, 189, 190, 172, 124, 175, 168, 180, 215,
    123, 65, 66, 67, 68, 69, 70, 71, 72, 73, 173, 244, 246, 242, 243, 245, 125, 74, 75, 76, 77, 78, 79, 80,
    81, 82, 185, 251, 252, 249, 250, 255, 92, 247, 83, 84, 85, 86, 87, 88, 89, 90, 178, 212, 214, 210, 211, 213,
    48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 179, 219, 220, 217, 218, 159,
];

/// Code page 273 (Germany, Austria).
pub(super) static IBM273: [u8; 256] =
    changed(b"\x43\x4f\x59\x5f\x63\xb5\xbb\xdc\xec\xfc", b"{!~^[@|}\\]", b"\x5a\x7c\xa1\xc0\xd0\xe0");

/// Code page 277 (Denmark, Norway).
pub(super) static IBM277: [u8; 256] =
    changed(b"\x47\x4a\x4f\x5f\x67\x80\x9c\x9e\x9f\xbb\xdc", b"}#!^$@{[]|~", b"\x5a\x5b\x7b\x7c\xa1\xb0\xba\xc0\xd0");

/// Code page 278 (Finland, Sweden).
pub(super) static IBM278: [u8; 256] = changed(
    b"\x43\x47\x4f\x51\x5f\x63\x67\x71\x9f\xb5\xbb\xdc\xec",
    b"{}!`^#$\\][|~@",
    b"\x5a\x5b\x79\x7b\x7c\xa1\xb0\xba\xc0\xd0\xe0",
);

/// Code page 280 (Italy).
pub(super) static IBM280: [u8; 256] = changed(
    b"\x44\x48\x4f\x51\x54\x58\x5f\x90\xb1\xb5\xbb\xdd",
    b"{\\!]}~^[#@|`",
    b"\x5a\x79\x7b\x7c\xa1\xb0\xba\xc0\xd0\xe0",
);

/// Code page 284 (Spain).
pub(super) static IBM284: [u8; 256] = changed(b"\x4a\x5a\x69\xba\xbb\xbd", b"[]#^!~", b"\x7b\xa1\xb0");

/// Code page 285 (United Kingdom).
pub(super) static IBM285: [u8; 256] = changed(b"\x4a\xb1\xba\xbc", b"$[^~", b"\x5b\xa1\xb0");

/// Code page 290 (Japan, Katakana).
pub(super) static IBM290: [u8; 256] =
    changed(b"\x62\x63\x64\x65\x66\x67\x68\x69\x70\x71\x72\x73\x74\x75\x76\x77\x78\x80\x8b\x9b\xa0\xab\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xe0", b"abcdefgh[ijklmnop]qr~s\\tuvwxyz$", b"\x5b\x81\x82\x83\x84\x85\x86\x87\x88\x89\x91\x92\x93\x94\x95\x96\x97\x98\x99\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xba\xbb");

/// Code page 297 (France).
pub(super) static IBM297: [u8; 256] = changed(
    b"\x44\x48\x4f\x51\x54\x5f\x90\xa0\xb1\xb5\xbb\xbd",
    b"@\\!{}^[`#]|~",
    b"\x5a\x79\x7b\x7c\xa1\xb0\xba\xc0\xd0\xe0",
);

/// Code page 420 (Arabic).
pub(super) static IBM420: [u8; 256] = changed(b"", b"", b"\x79\xa1\xb0\xba\xbb\xc0\xd0\xe0");

/// Code page 833 (Korea), with 933 and 1364.
pub(super) static IBM833: [u8; 256] = changed(b"\x70\x80\xb2", b"[]\\", b"\xba\xbb\xe0");

/// Code page 838 (Thailand).
pub(super) static IBM838: [u8; 256] = changed(b"\x49\x59\x69", b"[]^", b"\xb0\xba\xbb");

/// Code page 870 (Latin 2), with those of Greek and Cyrillic.
pub(super) static IBM870: [u8; 256] = changed(b"\x4a\x4f\x5a\x5f\x6a", b"[!]^|", b"\xb0\xba\xbb");

/// Code page 871 (Iceland).
pub(super) static IBM871: [u8; 256] =
    changed(b"\x4f\x8c\x8e\x9c\x9e\xac\xae\xbb\xbe\xcc\xec", b"!`{}]@[|\\~^", b"\x5a\x79\x7c\xa1\xb0\xba\xc0\xd0\xe0");

/// Code page 918 (Urdu).
pub(super) static IBM918: [u8; 256] = changed(b"\x4a\x4f\x5a\x5f\x6a\xbb", b"[!]^`|", b"\x79\xb0\xba");

/// Code page 935 (China).
pub(super) static IBM935: [u8; 256] = changed(b"\xa0\xb2\xe0", b"~\\$", b"\x5b\xa1");

/// Code page 1026 (Turkey).
pub(super) static IBM1026: [u8; 256] = changed(
    b"\x48\x4f\x5f\x68\x8c\x8d\xac\xad\xae\xbb\xcc\xdc\xec\xfc",
    b"{!^[}`]$@|~\\#\"",
    b"\x5a\x5b\x79\x7b\x7c\x7f\xa1\xb0\xba\xc0\xd0\xe0",
);

/// Code page 1047 (open systems), with 939.
pub(super) static IBM1047: [u8; 256] = changed(b"\x5f\xad\xbd", b"^[]", b"\xb0\xba\xbb");

/// [`IBM037`] with the characters `to` at the bytes `at`, and letters beyond ASCII at `others`.
const fn changed(at: &[u8], to: &[u8], others: &[u8]) -> [u8; 256] {
    assert!(at.len() == to.len());
    let mut table = IBM037;
    let mut i = 0;
    while i < at.len() {
        table[at[i] as usize] = to[i];
        i += 1;
    }
    i = 0;
    while i < others.len() {
        table[others[i] as usize] = LETTER;
        i += 1;
    }
    table
}

/// The letter that is put for every one beyond ASCII: detection does not ask which it is.
const LETTER: u8 = 0xdf;
