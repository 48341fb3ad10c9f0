from backline import Module

class Broken(Module:
    pass
