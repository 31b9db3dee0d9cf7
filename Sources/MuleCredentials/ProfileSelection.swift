/// The selected profile, and what selected it.
///
/// The order is that of the AWS command line, whose `AWS_DEFAULT_PROFILE` outranks `AWS_PROFILE` (aws/aws-cli#1281).
struct ProfileSelection: Hashable, Sendable {
    /// Nil if none was named; then the profile is `default`, and need not exist.
    let name: String?
    /// Named by a flag. Only then are keys of the environment ignored (aws/aws-cli#113, #7174).
    let isExplicit: Bool
    /// What named the profile, for errors.
    let origin: String

    init(flag: String?, environment: [String: String], configured: String?) {
        if let flag, !flag.isEmpty {
            (name, isExplicit, origin) = (flag, true, "--profile")
            return
        }
        isExplicit = false
        let variables = ["AWS_DEFAULT_PROFILE", "AWS_PROFILE"]
        if let variable = variables.first(where: { environment[nonEmpty: $0] != nil }) {
            (name, origin) = (environment[variable], variable)
        } else if let configured, !configured.isEmpty {
            (name, origin) = (configured, "mule's configuration")
        } else {
            (name, origin) = (nil, "")
        }
    }
}
