import MulePlan

extension FlagTable {
    static let object: [Flag] =
        headers + [
            .path(
                "sse-c-key-file",
                .object,
                storing,
                sets: \.object.customerKeyFile,
                readsEnvironment: false,
                "Encrypt the object with the key in this file (SSE-C): 32 bytes, or their Base64. The store forgets the key, "
                    + "and so does mule: give it to resume and verify too. Instead of a file, MULE_SSE_C_KEY can hold the "
                    + "Base64. Only over https, or to this machine."
            )
        ]

    /// The table is `ObjectHeader`.
    private static let headers: [Flag] = ObjectHeader.allCases.map { header in
        let commands = header.isOnEveryRequest ? storing : filing
        if header.kind.holdsPairs {
            return .pair(
                header.flag,
                header.kind.placeholder,
                .object,
                commands,
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
            commands,
            sets: \.object[header],
            reading: { text throws(OptionValueError) in try OptionValue.value(of: header, text) },
            value: words.map { .choice($0) } ?? .text,
            header.help
        )
    }
}
