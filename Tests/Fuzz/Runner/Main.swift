// The fuzzer: `mule-fuzz TARGET [OPTION OF LIBFUZZER...] [CORPUS...]`. Built by Tests/Fuzz/run, with libFuzzer's flags.

import FuzzTargets
import Glibc

/// libFuzzer's own main, to be called by a program that has one (FuzzerInterface.h).
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

// Set once in `main`, before the driver calls back, which it does on this thread alone. A C callback can't capture it.
nonisolated(unsafe) private var target: FuzzTarget?

@main struct Runner {
    private static let variable = "MULE_FUZZ_TARGET"

    static func main() {
        let names = FuzzTarget.all.map(\.name).joined(separator: " ")
        // To merge and to minimise, libFuzzer restarts the program with its own options only.
        let inherited = getenv(variable).map { String(cString: $0) }
        let first = CommandLine.arguments.dropFirst().first
        let named = first.flatMap { name in FuzzTarget.all.contains { $0.name == name } ? name : nil }
        guard let chosen = FuzzTarget.all.first(where: { $0.name == named ?? inherited }) else {
            if CommandLine.arguments.dropFirst() == ["--targets"] {
                print(names)
                exit(0)
            }
            print("usage: mule-fuzz TARGET [OPTION...] [CORPUS...]\ntargets: \(names)")
            exit(2)
        }
        target = chosen
        setenv(variable, chosen.name, 1)
        // The target's name goes; the program's own stays, since libFuzzer starts itself by it.
        var arguments = (0..<Int(CommandLine.argc))
            .filter { $0 != 1 || named == nil }
            .map { CommandLine.unsafeArgv[$0] }
        arguments.append(nil)
        var count = Int32(arguments.count - 1)
        let status = arguments.withUnsafeMutableBufferPointer { buffer -> Int32 in
            guard var base = buffer.baseAddress else { return 1 }
            return withUnsafeMutablePointer(to: &base) { pointer in
                runDriver(&count, pointer) { bytes, length in
                    if let broken = target?.check(Array(UnsafeBufferPointer(start: bytes, count: length))) {
                        print("BROKEN PROMISE: \(broken)")
                        fflush(nil)
                        abort()
                    }
                    return 0
                }
            }
        }
        exit(status)
    }
}
