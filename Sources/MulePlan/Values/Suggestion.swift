/// Suggestions for mistyped words.
package enum Suggestion {
    /// Edits (insert, delete, replace, swap of two neighbours) that turn one text into the other, counted in bytes: the
    /// restricted Damerau-Levenshtein distance, which edits no substring twice.
    package static func distance(_ first: String, _ second: String) -> Int {
        let a = Array(first.utf8)
        let b = Array(second.utf8)
        var beforeLast = [Int](repeating: 0, count: b.count + 1)
        var last = Array(0...b.count)
        for i in 0..<a.count {
            var row = [i + 1]
            for j in 0..<b.count {
                var best = min(row[j] + 1, last[j + 1] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, beforeLast[j - 1] + 1) }
                row.append(best)
            }
            (beforeLast, last) = (last, row)
        }
        return last[b.count]
    }

    /// The candidate nearest to `word`, or nil if none is near: at most a third of its letters may differ, or `word` is
    /// a prefix of exactly one candidate. Ignores case; of equally near ones, the first wins.
    package static func nearest(of word: String, in candidates: [String]) -> String? {
        let typed = word.lowercased()
        guard !typed.isEmpty else { return nil }
        let begun = candidates.filter { typed.utf8.count >= 2 && $0.lowercased().utf8.starts(with: typed.utf8) }
        if begun.count == 1 { return begun[0] }
        let limit = max(1, min(3, typed.utf8.count / 3))
        let near = candidates.map { (name: $0, distance: distance(typed, $0.lowercased())) }
            .filter { $0.distance <= limit && $0.distance < typed.utf8.count }
        return near.min { $0.distance < $1.distance }?.name
    }
}
