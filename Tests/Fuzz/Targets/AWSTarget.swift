import MuleCredentials

extension FuzzTarget {
    /// AWS's shared files: sections and settings read back when they are written out, and errors tell no content.
    ///
    /// The bytes are the config file up to a 0x1E, and the credentials file behind it.
    static let aws = FuzzTarget("aws") { bytes throws(BrokenPromise) in
        let halves = bytes.split(separator: 0x1E, maxSplits: 1, omittingEmptySubsequences: false).map(Array.init)
        let files = try halves.map { half throws(BrokenPromise) in try sharedFile(half) }
        let configuration = SharedConfiguration(
            config: files[0],
            credentials: files.count > 1 ? files[1] : nil,
            locations: SharedFileLocations(environment: [:])
        )
        let names = configuration.profileNames
        try promise(Set(names.map { Array($0.utf8) }).count == names.count, "a profile is named twice")
        for name in names {
            guard let profile = configuration.profile(name) else {
                throw BrokenPromise(sentence: "the profile \(name) is named and not there")
            }
            try promise(profile.name.isSame(as: name), "the profile \(name) is called \(profile.name)")
            for key in ["region", "endpoint_url", "ca_bundle", "aws_access_key_id"] {
                try promise(profile[key]?.isEmpty != true, "an empty setting")
            }
            for value in profile.nested("s3").values { try promise(!value.isEmpty, "an empty setting") }
        }
    }
}

private func sharedFile(_ bytes: [UInt8]) throws(BrokenPromise) -> SharedFile? {
    let file: SharedFile
    do throws(SharedConfigurationError) {
        file = try SharedFile(parsing: bytes, path: "P")
    } catch {
        let lines = 1 + bytes.count { $0 == 0x0A || $0 == 0x0D }
        try promise(
            error.line.map { (1...lines).contains($0) } ?? true,
            "an error in line \(error.line ?? 0) of \(lines)"
        )
        let known = [
            "not UTF-8 text", "a section needs a name and a closing ]", "a setting comes before the first [section]",
            "neither a [section] nor a setting of the form name = value",
            "an indented line under a name without a value must be of the form name = value",
        ]
        // A line that makes no sense may be a secret.
        try promise(known.contains(error.problem), "an error with words of its own: \(error.problem)")
        return nil
    }
    for section in file.sections {
        try promise(!section.header.isEmpty && !hasLineBreak(section.header), "the header \(section.header)")
        for name in section.settings.keys {
            try promise(!name.isEmpty && !hasLineBreak(name) && name.lowercased() == name, "the setting \(name)")
        }
    }
    let written = file.sections.map(text).joined()
    let again = try? SharedFile(parsing: Array(written.utf8), path: "P")
    let isSame =
        again?.sections.count == file.sections.count
        && zip(again?.sections ?? [], file.sections).allSatisfy {
            $0.header.isSame(as: $1.header) && $0.settings == $1.settings
        }
    try promise(isSame, "a file reads differently when it is written out: \(written)")
    return file
}

private func hasLineBreak(_ text: String) -> Bool { text.utf8.contains { $0 == 0x0A || $0 == 0x0D } }

/// The section as a file would have it.
private func text(of section: SharedFile.Section) -> String {
    var result = "[\(section.header)]\n"
    for (name, setting) in section.settings {
        switch setting {
        case .text(let value):
            let lines = value.utf8.split(separator: 0x0A, omittingEmptySubsequences: false)
            result += name + " = " + lines.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n  ") + "\n"
        case .nested(let values):
            result += name + " =\n" + values.map { "  \($0) = \($1)\n" }.joined()
        }
    }
    return result
}
