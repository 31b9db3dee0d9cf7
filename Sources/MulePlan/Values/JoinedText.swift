/// The texts one after the other. An interpolation or a chain of `+` allocates memory for each step; this does it once,
/// for texts that are made for each request.
package func joined(_ texts: String...) -> String {
    String(unsafeUninitializedCapacity: texts.reduce(0) { $0 + $1.utf8.count }) { room in
        var count = 0
        for var text in texts {
            text.withUTF8 { count = room[count...].initialize(fromContentsOf: $0) }
        }
        return count
    }
}
