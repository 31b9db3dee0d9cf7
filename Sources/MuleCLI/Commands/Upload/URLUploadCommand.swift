import MuleCredentials
import MulePlan
import MuleS3
import MuleSystem
import MuleTransport
import MuleUpload

/// `mule upload --url-file`
struct URLUploadCommand {
    let session: Session

    private static let longestFile = 64 << 10

    func run(urlFile: [UInt8]) throws(CommandFailure) -> ExitStatus {
        let path = session.arguments.operands[0]
        let url = try url(urlFile)
        let transport = try transport(for: url)
        let attributes = try attributes()
        if !url.isEncrypted, !url.isLoopback {
            session.console.warn(
                "The URL has no TLS: all on the way to \(url.host) can read the file, and use the URL until it ends."
            )
        }
        let console = session.console
        let log: @Sendable (String) -> Void = { console.detail(TextSafety.displayName($0)) }
        let printer = EventPrinter(console: console)
        let upload = URLUpload(
            path,
            to: url,
            attributes: attributes,
            transport: transport,
            settings: session.runSettings,
            cancellation: session.cancellation,
            log: session.arguments.verbose ? log : nil,
            notice: { printer.print(.notice(id: nil, $0)) }
        )
        console.startProgress(printsEvents: true, stopReport: { UploadFailure.stoppedAtURL.message }) {
            TransferSnapshot(upload.snapshot(), failures: printer.failures)
        }
        let result = Result { () throws(UploadFailure) in try upload.run() }
        console.stopProgress(final: nil)
        switch result {
        case .success(let summary):
            printer.print(.completed(summary))
            return .done
        case .failure(let failure):
            printer.print(.failed(FailedUpload(path, upload.destination, failure)))
            if failure.kind == .interrupted {
                console.error(UploadFailure.stoppedAtURL.message)
                return .interruption
            }
            return ExitStatus([failure])
        }
    }

    private func url(_ file: [UInt8]) throws(CommandFailure) -> ObjectURL {
        let (what, bytes) = try SecretFile.read(file, "URL", limit: Self.longestFile)
        let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
        // The text may be a secret: no message repeats it.
        guard lines.count == 1, let line = lines.first else {
            throw CommandFailure(status: .usage, message: "\(what) must hold one URL on one line.")
        }
        do throws(ObjectURL.Refusal) {
            return try ObjectURL(String(line))
        } catch {
            throw CommandFailure(status: .usage, message: "\(what) is not usable: the URL \(error.why).")
        }
    }

    /// Only what the command line names: what the configuration gives to objects would have to be signed.
    private func attributes() throws(CommandFailure) -> ObjectAttributes {
        let options = session.arguments.object
        if let problem = options.problem { throw CommandFailure(status: .usage, message: problem) }
        do {
            return try ObjectAttributes(options)
        } catch {
            throw CommandFailure(
                status: .usage,
                message: "A header of the object has a name or value that is not valid."
            )
        }
    }

    private func transport(for url: ObjectURL) throws(CommandFailure) -> TransportSettings {
        let configured = session.configuration.store
        let aws = try session.awsEnvironment(profile: session.arguments.store.profile, configured: configured.profile)
        let options = session.arguments.store
            .over(StoreOptions(aws.environmentSettings))
            .over(configured)
            .over(StoreOptions(aws.profileSettings))
        if options.fips == true, !Self.isFIPS(url) {
            throw CommandFailure(
                status: .usage,
                message:
                    "FIPS endpoints are required, but the URL is for \(url.host): get one for a FIPS endpoint, or add "
                    + "--no-fips."
            )
        }
        var settings = TransportSettings(userAgent: "mule/\(Version.number)", caBundle: try session.caBundle(options))
        settings.ignoresProxies = url.isLoopback
        // A certificate of the configuration is for its store, not for the host of a URL.
        settings.clientCertificate = try session.clientCertificate(session.arguments.store)
        return settings
    }

    private static func isFIPS(_ url: ObjectURL) -> Bool {
        let name = url.host.lowercased().prefix { $0 != ":" }
        return url.isEncrypted && AWSPartition.owns(host: String(name))
            && (name.hasPrefix("s3-fips.") || name.contains(".s3-fips.") || name.contains(".s3-accesspoint-fips."))
    }
}
