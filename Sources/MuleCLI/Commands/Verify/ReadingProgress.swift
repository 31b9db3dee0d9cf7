import MuleSources
import MuleSystem
import MuleUpload

extension Session {
    /// Shows how much of a file has been read, until `stopProgress`; nothing is sent during this time.
    func startProgress(reading path: [UInt8], _ progress: ReadProgress) {
        let size = (try? FileStatus.of(path: path))?.size
        let name = TextSafety.displayName(SourceWalk.lastComponent(path))
        console.startProgress {
            let file = FileProgress(
                id: 0,
                name: name,
                size: size,
                bytesDone: progress.bytesRead,
                partsDone: 0,
                state: .checking
            )
            return TransferSnapshot(files: [file], totalBytes: size)
        }
    }
}
