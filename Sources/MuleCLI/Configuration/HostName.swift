import MuleSystem

/// The value of `{host}`: the variable `MULE_HOST`, or the machine's name.
package struct HostName {
    package let text: String
    /// Why it may not be unique; nil if it seems to be.
    package let doubt: String?

    /// Default host names of the C library, the kernel and system images.
    private static let shared: Set<String> = [
        "localhost", "localhost4", "localhost6", "unknown", "raspberrypi", "ubuntu", "debian", "fedora",
    ]

    /// - Parameter machine: the machine's own name.
    package init(environment: [String: String], machine: String) {
        if let named = environment["MULE_HOST"], !named.isEmpty {
            (text, doubt) = (named, nil)
            return
        }
        text = machine
        let first = machine.lowercased().split(separator: ".").first ?? ""
        let isHexadecimal = machine.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
        let cure = "Set MULE_HOST to a unique name."
        if machine.isEmpty || machine == "(none)" || Self.shared.contains(String(first)) {
            doubt =
                "{host} is \"\(TextSafety.displayName(Array(machine.utf8)))\", which is not unique: machines of the "
                + "same name write to the same keys. \(cure)"
        } else if isHexadecimal, [12, 64].contains(machine.utf8.count) {
            // Docker and Podman use the first 12 digits of a container's ID.
            doubt =
                "{host} is \"\(machine)\", which seems to be a container ID and changes with each container. \(cure)"
        } else {
            doubt = nil
        }
    }

    package init(environment: [String: String]) {
        self.init(environment: environment, machine: hostName())
    }
}
