//! Memory of vectors whose elements borrow from what is gone.

/// An empty vector in the memory of `old`. `T` and `U` are to be one type but for its lifetimes; of others, the standard
/// library may keep no memory.
pub fn reuse_allocation<T, U>(mut old: Vec<T>) -> Vec<U> {
    old.clear();
    // The library collects a vector's own elements in place.
    old.into_iter().map(|_| unreachable!("it is empty")).collect()
}

#[cfg(test)]
mod tests {
    use super::reuse_allocation;

    #[test]
    fn memory_is_kept_and_elements_are_not() {
        let text = String::from("text");
        let old: Vec<&str> = vec![&text; 100];
        let memory = old.as_ptr().addr();
        let new: Vec<&'static str> = reuse_allocation(old);
        assert_eq!((new.len(), new.capacity(), new.as_ptr().addr()), (0, 100, memory));
    }
}
