//! How far a mistyped word is from a known one, for "did you mean".

/// Longest word compared, in octets: the time grows with the product of both lengths.
const LONGEST: usize = 40;

/// Edits (insert, delete, replace) that turn `a` into `b`; [`usize::MAX`] if either is longer than any name.
pub fn distance(a: &str, b: &str) -> usize {
    if a.len() > LONGEST || b.len() > LONGEST {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let replaced = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
