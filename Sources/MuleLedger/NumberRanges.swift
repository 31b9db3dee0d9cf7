/// A set of numbers, kept as ranges in order, because the rows of one run are consecutive. (`RangeSet` of the standard
/// library looks up types at run time in each change, which takes as long as all of a lock.)
struct NumberRanges: Sendable {
    private var ranges: [Range<Int64>] = []

    func contains(_ number: Int64) -> Bool { overlaps(number..<number + 1) }

    func overlaps(_ numbers: Range<Int64>) -> Bool {
        let place = place(of: numbers.lowerBound)
        return place < ranges.count && ranges[place].lowerBound < numbers.upperBound
    }

    /// - Parameter new: numbers of which none is in the set.
    mutating func insert(_ new: Range<Int64>) {
        let place = place(of: new.lowerBound)
        let followsOne = place > 0 && ranges[place - 1].upperBound == new.lowerBound
        let isBeforeOne = place < ranges.count && ranges[place].lowerBound == new.upperBound
        switch (followsOne, isBeforeOne) {
        case (true, true):
            ranges[place - 1] = ranges[place - 1].lowerBound..<ranges[place].upperBound
            ranges.remove(at: place)
        case (true, false): ranges[place - 1] = ranges[place - 1].lowerBound..<new.upperBound
        case (false, true): ranges[place] = new.lowerBound..<ranges[place].upperBound
        case (false, false): ranges.insert(new, at: place)
        }
    }

    mutating func remove(_ number: Int64) {
        guard contains(number) else { return }
        let place = place(of: number)
        let (before, after) = (ranges[place].lowerBound..<number, number + 1..<ranges[place].upperBound)
        switch (before.isEmpty, after.isEmpty) {
        case (true, true): ranges.remove(at: place)
        case (true, false): ranges[place] = after
        case (false, true): ranges[place] = before
        case (false, false):
            ranges[place] = before
            ranges.insert(after, at: place + 1)
        }
    }

    /// The place of the first range that ends after the number.
    private func place(of number: Int64) -> Int {
        var (low, high) = (0, ranges.count)
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound > number { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
