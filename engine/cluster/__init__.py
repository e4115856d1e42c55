"""Steps whose functions run in other processes, of this machine or others.

`crew` and `station` are the owner's side: who runs what, and what becomes of it when a worker is lost. `errand` is one
function at work. `worker` is the other side, `messages` and `crossing` what passes between them. Nothing here knows what
carries the messages; `ray_workers` is what does, and the only module that knows Ray.
"""
