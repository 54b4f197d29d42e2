"""The notebooks' interactive parts: pictures with controls, live trainings, method cards."""
