import MuleSigning

/// `role_arn` of a profile, assumed with the keys of another profile (`source_profile`) or of another source
/// (`credential_source`). https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html
struct AssumedRole: CredentialSource {
    let profile: Profile?
    let context: CredentialContext
    let service: @Sendable () throws(CredentialsUnavailable) -> TokenService
    /// The credentials of the profile with this name.
    let ofProfile: @Sendable (String) throws(CredentialsUnavailable) -> any CredentialsProvider
    /// The credentials of one of the other sources; nil if it has none.
    let ofPlace: @Sendable (Place) throws(CredentialsUnavailable) -> (any CredentialsProvider)?

    /// The values of `credential_source`, which ignore case.
    enum Place: String, CaseIterable {
        case environment = "Environment"
        case instance = "Ec2InstanceMetadata"
        case container = "EcsContainer"
    }

    /// Whether the profile uses this source. With a web identity, `role_arn` belongs to that (botocore).
    static func isWanted(by profile: Profile?) -> Bool {
        profile?["role_arn"] != nil && profile?["web_identity_token_file"] == nil
    }

    var origin: String {
        "the role \(profile?["role_arn"] ?? ""), which the profile \"\(profile?.name ?? "")\" assumes"
    }

    func provider() throws(CredentialsUnavailable) -> (any CredentialsProvider)? {
        guard let profile, Self.isWanted(by: profile), let role = profile["role_arn"] else { return nil }
        let asker = "the profile \"\(profile.name)\""
        if profile["mfa_serial"] != nil {
            throw CredentialsUnavailable(
                reason:
                    "\(asker) requires an MFA code (mfa_serial), which cannot be entered in an unattended upload; use "
                    + "a profile without it"
            )
        }
        var parameters = [
            (name: "RoleArn", value: role),
            (name: "RoleSessionName", value: profile["role_session_name"] ?? RoleSession.name(context)),
        ]
        if let id = profile["external_id"] { parameters.append((name: "ExternalId", value: id)) }
        if let text = profile["duration_seconds"] {
            guard let seconds = Int(text), (900...43_200).contains(seconds) else {
                throw CredentialsUnavailable(
                    reason: "duration_seconds of \(asker) is \"\(text)\"; it must be from 900 to 43200 seconds"
                )
            }
            parameters.append((name: "DurationSeconds", value: String(seconds)))
        }
        let source = try source(profile, asker)
        let (service, all) = (try service(), parameters)
        return try RefreshingCredentials(context) { () throws(CredentialsUnavailable) in
            let signer = try source.credentials()
            do throws(TokenService.Refusal) {
                return try service.credentials(.assumeRole, all, signer: signer)
            } catch {
                guard ["ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId"].contains(error.code),
                    try source.renew(refused: signer)
                else { throw error.unavailable }
            }
            let fresh = try source.credentials()
            do throws(TokenService.Refusal) {
                return try service.credentials(.assumeRole, all, signer: fresh)
            } catch {
                throw error.unavailable
            }
        }.fetched()
    }

    private func source(
        _ profile: Profile,
        _ asker: String
    ) throws(CredentialsUnavailable) -> any CredentialsProvider {
        switch (profile["source_profile"], profile["credential_source"]) {
        case (_?, _?):
            throw CredentialsUnavailable(
                reason: "\(asker) has both source_profile and credential_source; remove one of them"
            )
        case (nil, nil):
            throw CredentialsUnavailable(
                reason:
                    "\(asker) has role_arn, but neither source_profile nor credential_source, which name the "
                    + "credentials that assume the role"
            )
        case (let name?, nil):
            return try ofProfile(name)
        case (nil, let name?):
            guard let place = Place.allCases.first(where: { $0.rawValue.lowercased() == name.lowercased() }) else {
                throw CredentialsUnavailable(
                    reason: "credential_source of \(asker) is \"\(name)\"; supported are "
                        + "\(Place.allCases.map(\.rawValue).joined(separator: ", "))"
                )
            }
            guard let provider = try ofPlace(place) else {
                throw CredentialsUnavailable(
                    reason: "there are no credentials in \(name), which credential_source of \(asker) names"
                )
            }
            return provider
        }
    }
}
