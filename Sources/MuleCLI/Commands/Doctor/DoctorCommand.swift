import MuleJSON
import MuleLedger
import MulePlan

/// `mule doctor`
struct DoctorCommand {
    let session: Session

    func run() throws(CommandFailure) -> ExitStatus {
        let arguments = session.arguments
        if let file = arguments.export { return try LedgerExportImport(session: session).export(to: file) }
        if let file = arguments.importFrom { return try LedgerExportImport(session: session).importFrom(file) }
        let place = try place()
        let path = try session.ledgerPath()
        var first = ExitStatus.done
        let report: (Finding) -> Void = { finding in
            if finding.state == .problem, first == .done { first = finding.status }
            session.console.report(finding)
        }
        LedgerDoctor(path: path, report: report).run()
        if !arguments.ledgerAlone {
            StoreDoctor(
                session: session,
                bucket: place?.bucket,
                prefix: place?.key.string ?? "",
                report: report
            ).run()
        }
        return first
    }

    private func place() throws(CommandFailure) -> ObjectAddress? {
        guard let operand = session.arguments.operands.first else { return nil }
        do {
            switch try Destination(parsing: operand) {
            case .prefix(let address): return address
            case .object(var address):
                // A prefix of which the slash was left out.
                address.key = ObjectKey(address.key.utf8 + [UInt8(ascii: "/")])
                return address
            }
        } catch {
            throw CommandFailure(
                status: .usage,
                message: "\"\(TextSafety.displayName(operand))\" is not a bucket name."
            )
        }
    }
}
