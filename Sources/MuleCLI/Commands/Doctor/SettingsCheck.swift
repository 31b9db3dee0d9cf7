import MuleCredentials
import MulePlan
import MuleS3
import MuleSigning
import MuleTransport
import MuleUpload

/// A store that can be asked, and where its settings come from.
struct FoundSettings {
    var store: Session.Store
    var plan: Session.StorePlan
    var origins: SettingOrigins
    /// Nil where a service signs.
    var credentials: Credentials?

    /// For a client that looks at the server's certificate.
    var observingTransport: TransportSettings {
        var transport = store.service.transport
        transport.connectTimeout = min(transport.connectTimeout, store.service.patience)
        transport.observesSecurity = true
        return transport
    }
}

/// Which settings and credentials are used, and where each comes from. Asks no store.
struct SettingsCheck {
    let session: Session
    let bucket: String?
    let report: (Finding) -> Void

    /// - Returns: nil if they lead to no store, or if there are no credentials.
    func run() -> FoundSettings? {
        do throws(CommandFailure) {
            let plan = try session.plan(forBucket: bucket ?? "")
            let origins = SettingOrigins(session: session, bucket: bucket, aws: plan.aws)
            report(plan, origins)
            let store = try session.store(forBucket: bucket ?? "")
            do throws(CredentialsUnavailable) {
                let credentials = try credentials(of: store)
                return FoundSettings(store: store, plan: plan, origins: origins, credentials: credentials)
            } catch {
                report(.problem("credentials", .credentials, error.reason))
                return nil
            }
        } catch {
            let check = error.status == .credentials ? "credentials" : "configuration"
            report(.problem(check, error.status, error.message))
            return nil
        }
    }

    private func report(_ plan: Session.StorePlan, _ origins: SettingOrigins) {
        report(.ok("configuration", origins.configuration))
        report(.ok("profile", origins.profile))
        report(.ok("region", "\(plan.endpoint.region) (\(origins.region))."))
        for kind in origins.endpointKinds(plan.endpoint.variant) {
            report(.ok("endpoint.\(kind.name)", "\(kind.isOn ? "On" : "Off") (\(kind.origin))."))
        }
        if let provider = plan.options.provider {
            report(.ok("provider", "\(provider.profile.title) (\(origins.provider))."))
        }
        if bucket != nil { report(.ok("endpoint", "\(plan.endpoint.url) (\(origins.endpoint)).")) }
    }

    /// Nil where a service signs and no key is known.
    private func credentials(of store: Session.Store) throws(CredentialsUnavailable) -> Credentials? {
        switch try store.service.signer.identity() {
        case .service(let address):
            report(.ok("credentials", "This host holds no key: \(address) signs its requests."))
            return nil
        case .credentials(let credentials, let origin):
            var text = "Access key \(Self.shortened(credentials.accessKeyID))"
            if let origin { text += " from \(TextSafety.displayText(origin))" }
            if credentials.sessionToken != nil { text += ", temporary" }
            if let end = credentials.expiration {
                text += ", valid until \(LocalTime.text(end))"
            } else if credentials.sessionToken == nil, credentials.signingKey == nil {
                text += ", which does not expire"
            }
            report(.ok("credentials", text + "."))
            return credentials
        }
    }

    /// Enough to distinguish keys.
    private static func shortened(_ key: String) -> String {
        key.utf8.count < 12
            ? TextSafety.displayName(key) : TextSafety.displayName("\(key.prefix(4))...\(key.suffix(4))")
    }
}
