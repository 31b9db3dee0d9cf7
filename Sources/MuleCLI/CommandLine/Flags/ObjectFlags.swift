import MulePlan

extension FlagTable {
    /// The table is `ObjectHeader`.
    static let object: [Flag] = ObjectHeader.allCases.map { header in
        if header.kind.holdsPairs {
            return .pair(
                header.flag,
                header.kind.placeholder,
                .object,
                filing,
                adds: \.object[pairs: header],
                reading: { text throws(OptionValueError) in try OptionValue.pair(of: header, text) },
                header.help
            )
        }
        let words: [String]? = if case .choice(let words) = header.kind { words } else { nil }
        return .value(
            header.flag,
            header.kind.placeholder,
            .object,
            filing,
            sets: \.object[header],
            reading: { text throws(OptionValueError) in try OptionValue.value(of: header, text) },
            value: words.map { .choice($0) } ?? .text,
            header.help
        )
    }
}
