internal import CEntry
import Glibc
import MuleCLI

@main
enum Mule {
    static func main() {
        Program.main(arguments: arguments)
    }

    /// Without the program's own name. Raw bytes, because file names need not be UTF-8.
    private static var arguments: [[UInt8]] {
        guard let vector = mule_arguments() else { return [] }
        return (1..<max(1, Int(mule_argument_count()))).compactMap { index in
            vector[index].map { argument in
                UnsafeBufferPointer(start: argument, count: strlen(argument)).map { UInt8(bitPattern: $0) }
            }
        }
    }
}
