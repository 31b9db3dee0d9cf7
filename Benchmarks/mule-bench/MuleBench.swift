// Speeds of mule's modules, each alone: the cost of a byte, a request and a record. Benchmarks/run compares the whole
// with other clients.

import Glibc
import MuleLedger

@main
struct MuleBench {
    static func main() throws {
        let words = CommandLine.arguments.dropFirst()
        guard let directory = words.first, words.count <= 2, let rounds = Int(words.dropFirst().first ?? "5"),
            rounds > 0
        else {
            print("usage: mule-bench DIRECTORY [ROUNDS]\nDIRECTORY is empty, on the disk whose commits are measured.")
            exit(2)
        }
        let measures = DigestMeasures.all() + (try LedgerMeasures(directory: directory).all())
        try Table(measures: measures, rounds: rounds).run()
    }
}
