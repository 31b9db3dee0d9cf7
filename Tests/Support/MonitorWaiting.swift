import MuleSystem

extension Monitor {
    /// Blocks until `predicate` holds or the time is over; `seconds` nil waits without limit.
    ///
    /// - Returns: whether the predicate held.
    @discardableResult
    func wait(seconds: Double?, until predicate: (State) -> Bool) -> Bool {
        let answer: (inout State) -> Bool? = { predicate($0) ? true : nil }
        guard let seconds else { return wait(for: answer) }
        return wait(until: .now().adding(seconds: seconds), for: answer) ?? false
    }
}
