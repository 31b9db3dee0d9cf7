/// As much of a terminal as the painter needs: text, carriage return, line feed, cursor up, erasing, scrolling, and
/// reflow when it is resized.
struct VirtualTerminal {
    private(set) var columns: Int
    let rows: Int
    /// Lines that scrolled out at the top, then the screen; trailing spaces count as nothing.
    private(set) var lines: [[Character]] = [[]]
    private(set) var row = 0
    private(set) var column = 0
    private var top = 0
    private var wraps = true
    private var isPending = false

    init(columns: Int, rows: Int) {
        self.columns = columns
        self.rows = rows
    }

    /// Everything from the first line on, without trailing spaces and empty lines.
    var text: [String] {
        var shown = lines.map { line in
            var line = line
            while line.last == " " { line.removeLast() }
            return String(line)
        }
        while shown.last == "" { shown.removeLast() }
        return shown
    }

    mutating func feed(_ output: String) {
        var rest = Array(output.unicodeScalars)[...]
        while let scalar = rest.popFirst() {
            switch scalar {
            case "\r":
                column = 0
                isPending = false
            case "\n": lineFeed()
            case "\u{1B}":
                rest.removeFirst()
                let parameter = rest.prefix { !("A"..."z").contains($0) }
                rest.removeFirst(parameter.count)
                let final = rest.removeFirst()
                control(String(String.UnicodeScalarView(parameter)), final)
            default: put(Character(scalar))
            }
        }
    }

    /// Wraps each line again, like terminals that reflow.
    mutating func resize(columns: Int) {
        self.columns = columns
        var broken: [[Character]] = []
        var cursor = 0
        for (index, line) in lines.enumerated() {
            if index == row { cursor = broken.count }
            if line.isEmpty { broken.append([]) }
            for start in stride(from: 0, to: line.count, by: columns) {
                broken.append(Array(line[start..<min(line.count, start + columns)]))
            }
        }
        lines = broken
        row = cursor
        top = max(0, lines.count - rows)
    }

    private mutating func control(_ parameter: String, _ final: Unicode.Scalar) {
        switch (parameter, final) {
        case ("?7", "l"): wraps = false
        case ("?7", "h"): wraps = true
        case (_, "A"): row = max(top, row - (Int(parameter) ?? 1))
        case ("", "K"): lines[row] = Array(lines[row].prefix(column))
        case ("", "J"):
            lines[row] = Array(lines[row].prefix(column))
            lines = Array(lines.prefix(row + 1))
        default: put("?")
        }
        isPending = false
    }

    private mutating func put(_ character: Character) {
        if isPending {
            column = 0
            lineFeed()
        }
        while lines[row].count <= column { lines[row].append(" ") }
        lines[row][column] = character
        if column + 1 < columns { column += 1 } else { isPending = wraps }
    }

    private mutating func lineFeed() {
        isPending = false
        row += 1
        while lines.count <= row { lines.append([]) }
        top = max(top, row - rows + 1)
    }
}
