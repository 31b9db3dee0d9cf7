import MuleCLI

extension FuzzTarget {
    /// The command line, its arguments separated by NULs. An argument that starts with `MULE_` is a variable.
    static let arguments = FuzzTarget("arguments") { bytes throws(BrokenPromise) in
        var arguments = bytes.split(separator: 0, omittingEmptySubsequences: false).map(Array.init)
        var variables: [String: String] = [:]
        arguments.removeAll { argument in
            guard argument.starts(with: "MULE_".utf8), let equals = argument.firstIndex(of: UInt8(ascii: "=")) else {
                return false
            }
            let name = String(decoding: argument[..<equals], as: UTF8.self)
            variables[name] = String(decoding: argument[(equals + 1)...], as: UTF8.self)
            return true
        }
        let typed: Arguments
        do throws(UsageError) {
            typed = try CommandLineParser.parse(arguments, environment: variables)
        } catch {
            return try promise(!error.description.hasControls, "control characters in \(error.description)")
        }
        try promise(typed.command != nil || typed.wantsHelp || typed.wantsVersion, "nothing to do")
        try promise(typed.operands.count <= arguments.count, "operands from nowhere")
        try promiseHarmless(typed.store)
        try promiseHarmless(typed.object)
    }
}
