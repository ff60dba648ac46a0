//! A row in 64 bits: where the rest of what it asks stands, its rule, and which ports, methods and paths it lets pass.

/// Which bits of a row tell what. From the lowest on: the place in the scripts of what else it asks, its rule, a bit for
/// demands of the connection among that, then a [`Field`] each of ports, methods and paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowLayout {
    place: u32,
    rule: u32,
    /// Ports that a connection may be made to.
    pub ports: Field,
    /// Methods that a request may have.
    pub methods: Field,
    /// Four bytes of the paths that a request may have, by their hash.
    pub paths: Field,
}

/// Bits for the values that rows name, and one above for every other value. A row has those of the values that it lets
/// pass, so where it asks nothing it has all. Where no row names anything there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Field {
    shift: u32,
    values: u32,
}

impl Field {
    /// The bit of a value by its number, or of one that no row names.
    #[inline(always)]
    pub fn bit(self, value: Option<u32>) -> u64 {
        if self.values == 0 { 0 } else { 1 << ((self.shift + value.unwrap_or(self.values)) & 63) }
    }

    /// The bits of a row that asks nothing.
    #[inline(always)]
    pub fn all(self) -> u64 {
        match self.values {
            0 => 0,
            values => (u64::MAX >> (63 - values.min(63))) << (self.shift & 63),
        }
    }

    /// How many values have a bit.
    pub fn values(self) -> u32 {
        self.values
    }

    /// The bits of a row for values that it lets pass alone; nothing where it asks nothing.
    pub fn asked(self, row: u64) -> Option<u64> {
        Some(row & self.all()).filter(|bits| *bits != self.all())
    }

    /// The numbers of values from their bits.
    pub fn numbers(self, bits: u64) -> impl Iterator<Item = u32> {
        (0..self.values).filter(move |value| bits & self.bit(Some(*value)) != 0)
    }

    /// Whether a row lets some values pass, and all others only where it asks nothing.
    pub(crate) fn is_sound(self, row: u64) -> bool {
        self.asked(row).is_none_or(|bits| bits != 0 && bits & self.bit(None) == 0)
    }
}

impl RowLayout {
    /// The layout where scripts have so many bytes, and so many rules, ports, methods and bits of paths are told; nothing
    /// where that is more than 64 bits.
    pub fn new(scripts: usize, rules: usize, [ports, methods, paths]: [u32; 3]) -> Option<RowLayout> {
        let bits = |most: usize| usize::BITS - most.leading_zeros();
        let (place, rule) = (bits(scripts), bits(rules));
        let mut shift = place + rule + 1;
        let mut field = |values: u32| {
            let field = Field { shift, values };
            shift = shift.saturating_add(if values == 0 { 0 } else { values.saturating_add(1) });
            field
        };
        let (ports, methods, paths) = (field(ports), field(methods), field(paths));
        (shift <= 64).then_some(RowLayout { place, rule, ports, methods, paths })
    }

    /// How many bits are left for paths.
    pub fn left_for_paths(scripts: usize, rules: usize, ports: u32, methods: u32) -> u32 {
        RowLayout::new(scripts, rules, [ports, methods, 0]).map_or(0, |layout| 64 - layout.paths.shift)
    }

    /// A row that lets everything pass; see [`RowLayout::with`].
    pub fn row(self, place: u32, rule: u32, asks_connection: bool) -> u64 {
        let bits = u64::from(place) | u64::from(rule) << self.place;
        let asks = u64::from(asks_connection) << (self.place + self.rule);
        bits | asks | self.ports.all() | self.methods.all() | self.paths.all()
    }

    /// The row letting only these bits of a field pass.
    pub fn with(self, field: Field, row: u64, bits: u64) -> u64 {
        row & !field.all() | bits
    }

    /// Where the rest of what the row asks stands.
    #[inline(always)]
    pub(crate) fn place(self, row: u64) -> usize {
        (row & ((1 << self.place) - 1)) as usize
    }

    /// The row with another place.
    #[inline(always)]
    pub(crate) fn at(self, row: u64, place: usize) -> u64 {
        let places = (1 << self.place) - 1;
        row & !places | place as u64 & places
    }

    #[inline(always)]
    pub(crate) fn rule(self, row: u64) -> u32 {
        (row >> self.place) as u32 & ((1 << self.rule) - 1)
    }

    /// Whether what stands there begins with demands of the connection.
    #[inline(always)]
    pub(crate) fn asks_connection(self, row: u64) -> bool {
        row >> (self.place + self.rule) & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_a_row_is_read_as_it_was_written() {
        let layout = RowLayout::new(500_000, 10_000, [12, 5, 10]).expect("it fits");
        assert_eq!(RowLayout::left_for_paths(500_000, 10_000, 12, 5), 11);
        assert_eq!(RowLayout::new(500_000, 10_000, [12, 5, 11]), None);
        let open = layout.row(499_999, 9_999, true);
        let row = layout.with(layout.ports, open, layout.ports.bit(Some(3)) | layout.ports.bit(Some(11)));
        let row = layout.with(layout.paths, row, layout.paths.bit(Some(9)));
        assert_eq!(
            (layout.place(row), layout.rule(row), layout.asks_connection(row)),
            (499_999, 9_999, true)
        );
        assert_eq!(layout.place(layout.at(row, 7)), 7);
        assert_eq!(layout.at(layout.at(row, 7), 499_999), row);
        let numbers = |field: Field| field.asked(row).map(|bits| field.numbers(bits).collect::<Vec<u32>>());
        assert_eq!(numbers(layout.ports), Some(vec![3, 11]));
        assert_eq!((numbers(layout.methods), numbers(layout.paths)), (None, Some(vec![9])));
        for field in [layout.ports, layout.methods, layout.paths] {
            assert!(field.is_sound(row) && field.is_sound(open));
            assert!(!field.is_sound(open & !field.all()));
            assert!(!field.is_sound(open & !field.bit(Some(0))));
            let passes = |value| open & field.bit(value) == field.bit(value);
            assert!(passes(None) && (0..field.values()).all(|value| passes(Some(value))));
        }
        // Nothing is asked of what no row names.
        let none = RowLayout::new(0, 0, [0; 3]).expect("it fits");
        assert_eq!((none.row(0, 0, false), none.ports.bit(Some(2)), none.ports.all()), (0, 0, 0));
        assert!(none.ports.is_sound(0) && none.ports.asked(0).is_none());
    }
}
