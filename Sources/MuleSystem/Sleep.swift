/// Sleeps until the deadline or the cancellation.
package func sleep(until deadline: Moment, _ cancellation: Cancellation) {
    guard Moment.now() < deadline, !cancellation.isCancelled else { return }
    let isWoken = Monitor(false)
    let ticket = cancellation.onCancel { isWoken.update { $0 = true } }
    defer { cancellation.removeWaker(ticket) }
    _ = isWoken.wait(until: deadline) { $0 || cancellation.isCancelled ? true : nil }
}
