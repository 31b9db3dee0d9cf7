import MulePlan

/// First in, first out.
struct Queue<Element> {
    private var elements: [Element?] = []
    private var head = 0

    var count: Int { elements.count - head }
    var isEmpty: Bool { count == 0 }

    /// Do not set if the queue is empty.
    var first: Element? {
        get { isEmpty ? nil : elements[head] }
        set { elements[head] = newValue }
    }

    /// Do not set if the queue is empty.
    var last: Element? {
        get { isEmpty ? nil : elements[elements.count - 1] }
        set { elements[elements.count - 1] = newValue }
    }

    mutating func append(_ element: Element) {
        elements.append(element)
    }

    mutating func popFirst() -> Element? {
        guard head < elements.count else { return nil }
        defer {
            head += 1
            // Compacted when half the slots are empty: each element moves once on average.
            if head * 2 >= elements.count {
                elements.removeFirst(head)
                head = 0
            }
        }
        return elements[head].take()
    }
}

/// A queue for each kind of work. (A dictionary allocates memory for each change of a value in it.)
struct QueuePerShare<Element> {
    private var queues = [Queue<Element>](repeating: Queue(), count: Share.allCases.count)

    subscript(share: Share) -> Queue<Element> {
        get { queues[share.rawValue] }
        _modify { yield &queues[share.rawValue] }
    }
}
