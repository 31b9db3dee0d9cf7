/// An empty operand: what a shell makes of "$F" if the variable F is not set.
enum EmptyOperand {
    /// A sentence about the first of them; nil if there is none.
    static func problem(_ arguments: Arguments) -> String? {
        guard let place = arguments.operands.firstIndex(of: []) else { return nil }
        return "\(name(of: place, arguments)) is empty: is a variable unset?"
    }

    private static func name(of place: Int, _ arguments: Arguments) -> String {
        let isLast = place == arguments.operands.count - 1
        switch arguments.command {
        case .upload:
            let hasOtherSource =
                arguments.stdinCommand != nil || arguments.filesFrom != nil || arguments.filesFrom0 != nil
            return isLast && (hasOtherSource || place > 0) ? "the DESTINATION" : "the \(ordinal(place)) SOURCE"
        case .verify, .adopt: return place == 0 ? "the FILE" : "the BUCKET/KEY"
        default: return "the \(ordinal(place)) argument"
        }
    }

    private static func ordinal(_ place: Int) -> String {
        let words = ["first", "second", "third"]
        return place < words.count ? words[place] : "\(place + 1)th"
    }
}
